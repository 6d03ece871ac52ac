// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the shell puts results that are not for the terminal: a new file.

#include <memory>
#include <optional>
#include <string>

#include "image/sink.h"
#include "output/sink.h"

namespace engram::cli {

/// A new file, which only its owner may read. Removed unless finish() has been called.
class ResultFile final : public output::Sink {
 public:
  /// Errors: there is a file of this name; no permission.
  static Result<std::unique_ptr<ResultFile>> create(const std::string& path);

  Result<void> write(std::string_view text) override;
  Result<void> flush() override;
  /// What was written is on the disk. Errors: no room, now or in any write before.
  Result<void> finish();

 private:
  explicit ResultFile(image::FileSink file) : file_(std::move(file)) {}

  image::FileSink file_;
  std::string held_;
  std::optional<Error> failure_;  ///< of the first write that failed: something is missing
};

}  // namespace engram::cli
