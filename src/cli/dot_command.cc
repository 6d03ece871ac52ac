// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/dot_command.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <new>

#include "cli/command.h"
#include "cli/memory_limit.h"
#include "cli/words.h"

namespace engram::cli {

#define DOT_COMMAND(name) const DotCommand& name##_command();
#include "cli/dot_commands.def"
#undef DOT_COMMAND

namespace {

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::span<const DotCommand* const> dot_commands() {
#define DOT_COMMAND(name) &name##_command(),
  static const std::array commands{
#include "cli/dot_commands.def"
  };
#undef DOT_COMMAND
  return commands;
}

const DotCommand* find_dot_command(std::string_view name) {
  const auto commands = dot_commands();
  const auto found = std::find_if(commands.begin(), commands.end(), [&](const auto* command) {
    return same_name(command->name, name);
  });
  return found == commands.end() ? nullptr : *found;
}

bool is_dot_command(std::string_view text) {
  return trimmed(text).starts_with('.');
}

bool is_shell_setting(std::string_view line) {
  const std::string_view name = line.substr(0, line.find_first_of(" \t"));
  const DotCommand* command = find_dot_command(name);
  return command != nullptr && command->where == DotCommand::Where::shell;
}

DotOutcome run_dot_command(DotContext& context, std::string_view line) {
  const auto words = split_words(line);
  if (!words) return failed_with(kUsage, "{}", words.error().text);
  if (words->empty()) return failed_with(kUsage, "no command (.commands lists them)");
  const DotCommand* command = find_dot_command(words->front());
  if (command == nullptr) {
    return failed_with(kUsage, "{}: no such command (.commands lists them)", words->front());
  }
  if (command->where == DotCommand::Where::shell && context.shell == nullptr) {
    return failed_with(kUsage, "{}: only in the shell", command->name);
  }
  if (auto& session = context.image.session(); session.image().is_live()) session.refresh();
  try {
    return command->run(context, Words(words->begin() + 1, words->end()));
  } catch (const std::bad_alloc&) {
    return failed_with(kNotAnswered, "{}: {}", command->name, kMemoryIsOver);
  }
}

int run_one_dot_command(OpenImage& image, const std::string& path, std::string_view line,
                        const Console& console) {
  output::FileSink sink(console.out, "standard output");
  Interrupts interrupts(Interrupts::Mode::first);
  DotContext context{image, console, interrupts, sink};
  const auto done = run_dot_command(context, line);
  if (!done) return report(done.error(), path, console);
  image.report_damage(console);
  return kAnswered;
}

Result<bool, RunFailure> parse_words(DotContext& context, const DotCommand& command,
                                     CLI::App& arguments, const Words& words) {
  arguments.name(std::string(command.name));
  arguments.description(std::string(command.doc));
  // The parser takes them from the end.
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    arguments.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    ENGRAM_CHECK(print(context, arguments.help()));
    return false;
  } catch (const CLI::ParseError& error) {
    return failed_with(kUsage, "{}: {} (try '{} --help')", command.name, error.what(),
                       command.name);
  }
  return true;
}

DotOutcome print(DotContext& context, std::string_view text) {
  auto written = context.out.write(text);
  if (written) written = context.out.flush();
  if (!written) return tl::unexpected(output_failure(context.out, written.error()));
  return {};
}

RunFailure interrupted() {
  return {kInterrupted, "interrupted"};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace engram::cli
