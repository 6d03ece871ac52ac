// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the shell's lines come from: a file, or a person at a terminal.

#include <cstdint>
#include <cstdio>
#include <string>

namespace engram::cli {

struct Line {
  enum class Kind : std::uint8_t {
    text,
    end,          ///< no more lines: end of file, Ctrl-D
    interrupted,  ///< Ctrl-C
    failed,       ///< the text says why there are no more lines
  };
  Kind kind = Kind::end;
  std::string text;  ///< without the line's end
};

class LineSource {
 public:
  virtual ~LineSource() = default;
  /// `prompt` is shown to a person.
  virtual Line read(const std::string& prompt) = 0;
  /// Whether a person is there, who sees an error and goes on.
  [[nodiscard]] virtual bool is_interactive() const = 0;
};

class FileLines final : public LineSource {
 public:
  /// `name` is for error texts.
  FileLines(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  Line read(const std::string& prompt) override;
  [[nodiscard]] bool is_interactive() const override { return false; }

 private:
  std::FILE* file_;
  std::string name_;
};

}  // namespace engram::cli
