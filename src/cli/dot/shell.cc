// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/dot_command.h"
#include "sql/functions.h"

namespace engram::cli {

const DotCommand& commands_command();
const DotCommand& exit_command();
const DotCommand& help_command();
const DotCommand& mode_command();
const DotCommand& quit_command();

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

const DotCommand& quit_command() {
  static constexpr DotCommand kCommand{".quit", "", "leave", leave, DotCommand::Where::shell};
  return kCommand;
}

}  // namespace engram::cli
