// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the program talks to: three streams, and what is known about them.

#include <cstddef>
#include <cstdio>
#include <string_view>

namespace engram::cli {

struct Console {
  std::FILE* in = nullptr;
  std::FILE* out = nullptr;
  std::FILE* err = nullptr;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;

  /// The process's own streams.
  static Console standard();

  /// Columns of the terminal behind `out`, which may change; 0 if it is not one.
  [[nodiscard]] std::size_t width() const;
  /// Its lines; 0 if it is not a terminal.
  [[nodiscard]] std::size_t height() const;

  /// Text of our own on `err`, as it is.
  void say(std::string_view text) const;
  /// One line on `err`, whatever `text` contains: "engram: TEXT".
  void error(std::string_view text) const;
  /// "engram: warning: TEXT"
  void warning(std::string_view text) const;
  /// "engram: note: TEXT": nothing is wrong, but somebody may want to know why it took so long.
  void note(std::string_view text) const;
};

}  // namespace engram::cli
