// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// An image file, ready for SQL.

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/console.h"
#include "kernel/session.h"
#include "sql/database.h"

namespace engram::cli {

class OpenImage {
 public:
  /// Prints what a user should know about the image (that it is cut, say) as warnings.
  /// Errors: those of Image::open() and Database::create(); the text begins with the path.
  static Result<OpenImage> open(const std::string& path, const Console& console);

  [[nodiscard]] sql::Database& database() { return *database_; }

  /// Says after an answer what may be missing from it: that there is no kernel, that the kernel has
  /// more memory than the image, how many objects could not be read.
  void report_damage(const Console& console) const;

 private:
  OpenImage() = default;
  std::string path_;
  std::unique_ptr<kernel::Session> session_;
  std::unique_ptr<sql::Database> database_;  ///< borrows the session
};

/// "PATH: TEXT", or the text alone if it names the path already.
[[nodiscard]] std::string about(const std::string& path, const std::string& text);

}  // namespace engram::cli
