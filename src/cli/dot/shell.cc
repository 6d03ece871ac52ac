// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cli/command.h"
#include "cli/dot_command.h"
#include "cli/pager.h"
#include "sql/functions.h"

namespace engram::cli {

const DotCommand& commands_command();
const DotCommand& exit_command();
const DotCommand& help_command();
const DotCommand& mode_command();
const DotCommand& once_command();
const DotCommand& output_command();
const DotCommand& pager_command();
const DotCommand& quit_command();
const DotCommand& read_command();
const DotCommand& timer_command();

namespace {

std::string listed_commands() {
  std::string text;
  for (const auto* command : dot_commands()) {
    const bool bare = command->arguments.empty();
    const std::string usage =
        fmt::format("{}{}{}", command->name, bare ? "" : " ", command->arguments);
    // A usage that is wider than its column has a line of its own.
    constexpr std::size_t kColumn = 18;
    if (usage.size() > kColumn) {
      text += fmt::format("  {}\n  {:<{}}", usage, "", kColumn);
    } else {
      text += fmt::format("  {:<{}}", usage, kColumn);
    }
    text += fmt::format("  {}\n", command->doc);
  }
  return text;
}

/// Runs a command that takes no words.
template <class Do>
DotOutcome without_words(DotContext& context, const DotCommand& command, const Words& words,
                         Do work) {
  CLI::App arguments;
  ENGRAM_TRY(const bool parsed, parse_words(context, command, arguments, words));
  if (!parsed) return {};
  return work();
}

DotOutcome list_commands(DotContext& context, const Words& words) {
  return without_words(context, commands_command(), words,
                       [&] { return print(context, listed_commands()); });
}

DotOutcome show_help(DotContext& context, const Words& words) {
  return without_words(context, help_command(), words, [&] {
    std::string text = "SQL statements end with a semicolon. Ctrl-C stops a statement.\n\n";
    text += "Commands (each says more with --help):\n" + listed_commands();
    text += "\nFunctions:\n";
    for (const auto& function : sql::function_docs()) {
      text += fmt::format("  {}\n      {}\n", function.usage, function.doc);
    }
    return print(context, text);
  });
}

DotOutcome leave(DotContext& context, const Words& words) {
  return without_words(context, exit_command(), words, [&]() -> DotOutcome {
    context.shell->is_leaving = true;
    return {};
  });
}

DotOutcome set_mode(DotContext& context, const Words& words) {
  std::string format;
  CLI::App arguments;
  arguments.add_option("NAME", format, "table, json, jsonl or csv")->required();
  ENGRAM_TRY(const bool parsed, parse_words(context, mode_command(), arguments, words));
  if (!parsed) return {};
  const auto writer = output::make_writer(format, context.out);
  if (!writer) return failed_with(kUsage, "{}", writer.error().text);
  context.shell->format = format;
  return {};
}

/// Runs a command that takes one word, which may be missing if it is not `required`.
template <class Do>
DotOutcome with_word(DotContext& context, const DotCommand& command, const Words& words,
                     const char* name, const char* doc, bool required, Do work) {
  std::string word;
  CLI::App arguments;
  arguments.add_option(name, word, doc)->required(required);
  ENGRAM_TRY(const bool parsed, parse_words(context, command, arguments, words));
  return parsed ? work(word) : DotOutcome();
}

DotOutcome create_file(const std::string& path, std::unique_ptr<ResultFile>& file) {
  auto created = ResultFile::create(path);
  if (!created) return failed_with(kNotAnswered, "{}", created.error().text);
  file = std::move(*created);
  return {};
}

DotOutcome set_once(DotContext& context, const Words& words) {
  return with_word(context, once_command(), words, "FILE", "A new file", true,
                   [&](const std::string& path) { return create_file(path, context.shell->once); });
}

DotOutcome set_output(DotContext& context, const Words& words) {
  return with_word(context, output_command(), words, "FILE", "A new file; none: the terminal again",
                   false, [&](const std::string& path) -> DotOutcome {
                     auto& output = context.shell->output;
                     if (const auto before = std::exchange(output, nullptr)) {
                       const auto done = before->finish();
                       if (!done) return failed_with(kNotAnswered, "{}", done.error().text);
                     }
                     return path.empty() ? DotOutcome() : create_file(path, output);
                   });
}

DotOutcome set_pager(DotContext& context, const Words& words) {
  return with_word(
      context, pager_command(), words, "COMMAND", "on, off, or what the system's shell runs", true,
      [&](const std::string& command) -> DotOutcome {
        const bool is_usual = command == "on";
        context.shell->pager = is_usual ? usual_pager() : (command == "off" ? "" : command);
        if (!is_usual || !context.shell->pager.empty()) return {};
        return failed_with(kNotAnswered,
                           "there is no pager: neither $ENGRAM_PAGER nor $PAGER says "
                           "which, and less is not installed");
      });
}

DotOutcome read_script(DotContext& context, const Words& words) {
  return with_word(context, read_command(), words, "FILE", "Statements and dot commands", true,
                   [&](const std::string& path) -> DotOutcome {
                     context.shell->script = path;
                     return {};
                   });
}

DotOutcome set_timer(DotContext& context, const Words& words) {
  return with_word(context, timer_command(), words, "on|off", "Whether times are shown", true,
                   [&](const std::string& word) -> DotOutcome {
                     if (word != "on" && word != "off") {
                       return failed_with(kUsage, ".timer {}: expected on or off", word);
                     }
                     context.shell->shows_time = word == "on";
                     return {};
                   });
}

}  // namespace

const DotCommand& commands_command() {
  static constexpr DotCommand kCommand{".commands", "", "list the dot commands", list_commands};
  return kCommand;
}

const DotCommand& exit_command() {
  static constexpr DotCommand kCommand{".exit", "", "leave (so do .quit and Ctrl-D)", leave,
                                       DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& help_command() {
  static constexpr DotCommand kCommand{".help", "", "list the dot commands and the SQL functions",
                                       show_help};
  return kCommand;
}

const DotCommand& mode_command() {
  static constexpr DotCommand kCommand{".mode", "NAME",
                                       "how results are written: table, json, jsonl or csv",
                                       set_mode, DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& once_command() {
  static constexpr DotCommand kCommand{".once", "FILE", "the next result goes to a new file",
                                       set_once, DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& output_command() {
  static constexpr DotCommand kCommand{".output", "[FILE]",
                                       "all results go to a new file; without FILE no longer",
                                       set_output, DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& pager_command() {
  static constexpr DotCommand kCommand{
      ".pager", "COMMAND", "on, off, or a command that shows what is longer than the screen",
      set_pager, DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& quit_command() {
  static constexpr DotCommand kCommand{".quit", "", "leave", leave, DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& read_command() {
  static constexpr DotCommand kCommand{".read", "FILE", "run the lines of a file", read_script,
                                       DotCommand::Where::shell};
  return kCommand;
}

const DotCommand& timer_command() {
  static constexpr DotCommand kCommand{".timer", "on|off", "show how long each statement took",
                                       set_timer, DotCommand::Where::shell};
  return kCommand;
}

}  // namespace engram::cli
