// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <exception>
#include <new>

#include "cli/command.h"
#include "cli/commands/command.h"
#include "cli/commands/convert.h"
#include "cli/commands/dump.h"
#include "cli/commands/info.h"
#include "cli/commands/query.h"
#include "cli/commands/read.h"
#include "cli/commands/shell.h"
#include "cli/commands/tables.h"
#include "cli/memory_limit.h"

namespace {

/// Takes the numbers of standard streams that are closed. Else the next file to be opened gets one:
/// answers would go into it. The wrong direction leaves it an error to use the stream.
void reserve_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one: those below are taken by now.
    [[maybe_unused]] const int taken =
        ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  using namespace engram::cli;
  reserve_standard_streams();
  // A file that grows beyond the limit of the process is an error like a full disk, and not the end
  // of the program with half a file left behind.
  std::signal(SIGXFSZ, SIG_IGN);
  // The line editor needs to know the terminal's encoding.
  std::setlocale(LC_CTYPE, "");
  const Console console = Console::standard();
  try {
    const std::array commands{
        make_query_command(), make_shell_command(), make_command_command(), make_dump_command(),
        make_info_command(),  make_read_command(),  make_convert_command(), make_tables_command(),
    };
    return run_program(commands, argument_count, arguments, console);
  } catch (const std::bad_alloc&) {
    console.error(kMemoryIsOver);
    return kNotAnswered;
  } catch (const std::exception& exception) {
    console.error(exception.what());
    return kNotAnswered;
  }
}
