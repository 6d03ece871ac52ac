// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output/text.h"

namespace engram::cli {
namespace {

// What a terminal that does not tell its width is taken to have.
constexpr std::size_t kUsualWidth = 80;

/// When standard error is closed or full there is nobody to tell: the exit code says enough.
void say(std::FILE* err, const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), err);
}

}  // namespace

Console Console::standard() {
  Console console;
  console.in = stdin;
  console.out = stdout;
  console.err = stderr;
  console.in_is_terminal = ::isatty(STDIN_FILENO) != 0;
  console.out_is_terminal = ::isatty(STDOUT_FILENO) != 0;
  console.err_is_terminal = ::isatty(STDERR_FILENO) != 0;
  return console;
}

std::size_t Console::width() const {
  if (!out_is_terminal) return 0;
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

void Console::error(std::string_view text) const {
  say(err, fmt::format("engram: {}\n", output::terminal_text(text)));
}

void Console::warning(std::string_view text) const {
  say(err, fmt::format("engram: warning: {}\n", output::terminal_text(text)));
}

}  // namespace engram::cli
