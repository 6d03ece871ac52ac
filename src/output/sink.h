// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where writers put their text.

#include <cstdio>
#include <string>
#include <string_view>

#include "base/result.h"

namespace engram::output {

class Sink {
 public:
  virtual ~Sink() = default;
  /// Errors: the text could not be written (disk full, reader gone); says where.
  virtual Result<void> write(std::string_view text) = 0;
  /// Hands over what is still buffered. Errors: as write().
  virtual Result<void> flush() = 0;
  /// The reader has gone away: there is nobody left to tell.
  [[nodiscard]] virtual bool broken_pipe() const { return false; }
};

class StringSink final : public Sink {
 public:
  Result<void> write(std::string_view text) override {
    text_ += text;
    return {};
  }
  Result<void> flush() override { return {}; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// An open file, which it does not close. `name` is for error texts.
class FileSink final : public Sink {
 public:
  FileSink(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  Result<void> write(std::string_view text) override;
  Result<void> flush() override;
  [[nodiscard]] bool broken_pipe() const override { return broken_pipe_; }

 private:
  tl::unexpected<Error> failure();

  std::FILE* file_;
  std::string name_;
  bool broken_pipe_ = false;
};

}  // namespace engram::output
