// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <clocale>
#include <exception>

#include "cli/command.h"
#include "cli/commands/info.h"
#include "cli/commands/query.h"
#include "cli/commands/shell.h"
#include "cli/commands/tables.h"

int main(int argument_count, char** arguments) {
  using namespace engram::cli;
  // The line editor needs to know the terminal's encoding.
  std::setlocale(LC_CTYPE, "");
  const Console console = Console::standard();
  try {
    const std::array commands{
        make_query_command(),
        make_shell_command(),
        make_info_command(),
        make_tables_command(),
    };
    return run_program(commands, argument_count, arguments, console);
  } catch (const std::exception& exception) {
    console.error(exception.what());
    return kNotAnswered;
  }
}
