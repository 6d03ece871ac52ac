// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output/text.h"

namespace engram::cli {
namespace {

// What a terminal that does not tell its size is taken to have.
constexpr std::size_t kUsualWidth = 80;
constexpr std::size_t kUsualHeight = 24;

winsize size_of_terminal(std::FILE* terminal) {
  winsize size{};
  if (::ioctl(::fileno(terminal), TIOCGWINSZ, &size) != 0) return {};
  return size;
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
  const std::size_t columns = size_of_terminal(out).ws_col;
  return columns == 0 ? kUsualWidth : columns;
}

std::size_t Console::height() const {
  if (!out_is_terminal) return 0;
  const std::size_t lines = size_of_terminal(out).ws_row;
  return lines == 0 ? kUsualHeight : lines;
}

void Console::say(std::string_view text) const {
  // When standard error is closed or full there is nobody to tell: the exit code says enough.
  std::fwrite(text.data(), 1, text.size(), err);
}

void Console::error(std::string_view text) const {
  say(fmt::format("engram: {}\n", output::terminal_text(text)));
}

void Console::warning(std::string_view text) const {
  say(fmt::format("engram: warning: {}\n", output::terminal_text(text)));
}

void Console::note(std::string_view text) const {
  say(fmt::format("engram: note: {}\n", output::terminal_text(text)));
}

}  // namespace engram::cli
