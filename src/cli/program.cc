// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <sstream>

#include "cli/command.h"
#include "cli/run_sql.h"

namespace engram::cli {
namespace {

constexpr const char* kDescription =
    "SQL questions about a computer's memory: crash dumps and memory images, with no symbol files "
    "and "
    "no set-up.";

constexpr const char* kFooter =
    "\nExit codes: 0 answered, 1 could not be answered, 2 wrong usage, 130 interrupted,\n141 the "
    "reader of the output went away; ended by a signal: 128 and its number.";

/// Help and version are "errors" of the parser that succeed.
int report(const CLI::App& program, const CLI::ParseError& error, const Console& console) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    std::ostringstream text;
    program.exit(error, text, text);
    output::FileSink sink(console.out, "standard output");
    auto written = sink.write(text.str());
    if (written) written = sink.flush();
    if (written) return kAnswered;
    const RunFailure failure = output_failure(sink, written.error());
    if (!failure.text.empty()) console.error(failure.text);
    return failure.exit_code;
  }
  std::string name = "engram";
  for (const auto* command : program.get_subcommands()) name += ' ' + command->get_name();
  console.error(fmt::format("{} (try '{} --help')", error.what(), name));
  return kUsage;
}

}  // namespace

int run_program(std::span<const std::unique_ptr<Command>> commands, int argument_count,
                const char* const* arguments, const Console& console) {
  CLI::App program(kDescription, "engram");
  program.set_version_flag("--version", "engram " ENGRAM_VERSION);
  program.require_subcommand(1);
  program.footer(kFooter);
  std::vector<std::pair<CLI::App*, Command*>> declared;
  for (const auto& command : commands)
    declared.emplace_back(command->declare(program), command.get());
  try {
    program.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return report(program, error, console);
  }
  for (const auto& [name, command] : declared) {
    if (name->parsed()) return command->run(console);
  }
  return kUsage;
}

}  // namespace engram::cli
