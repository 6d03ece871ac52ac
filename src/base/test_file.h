// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A temporary file, for tests.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"

namespace engram::test {

/// A file with this content that is deleted at the end of the scope.
class TempFile {
 public:
  /// mkstemp(3) puts a name in place of the six X. Without a file no test means anything: the
  /// program ends.
  explicit TempFile(Bytes content)
      : path_((std::filesystem::temp_directory_path() / "engram-test-XXXXXX").string()) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) std::abort();
    ::close(fd);
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), std::ssize(content));
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { ::unlink(path_.c_str()); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool cut(std::uint64_t size) const {
    return ::truncate(path_.c_str(), static_cast<off_t>(size)) == 0;
  }

 private:
  std::string path_;
};

}  // namespace engram::test
