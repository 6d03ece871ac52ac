// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the bytes of a dump that is written go, one after the other.

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "mapping/file.h"

namespace engram::image {

class Sink {
 public:
  virtual ~Sink() = default;
  /// Errors: whatever keeps the bytes from being written, with the name of the sink.
  virtual Result<void> write(Bytes bytes) = 0;
  /// As many zeros, of which there may be more than anybody could write one by one.
  virtual Result<void> zeros(std::uint64_t count) = 0;
};

/// A new file, in which zeros are holes. Move-only. What was not finished is removed.
class FileSink final : public Sink {
 public:
  /// Errors: there is a file of this name (it may be the source of the bytes); no permission.
  static Result<FileSink> create(const std::string& path);

  FileSink(FileSink&& other) noexcept = default;
  ~FileSink() override;

  /// Errors: no room.
  Result<void> write(Bytes bytes) override;
  /// Errors: a file cannot be so long.
  Result<void> zeros(std::uint64_t count) override;
  /// Gives the file its length and waits until it is on the disk. Errors: as above.
  Result<void> finish();

 private:
  struct Unfinished;
  FileSink(std::string path, mapping::File file);

  mapping::File file_;
  FileOffset at_;
  std::unique_ptr<Unfinished> unfinished_;
  std::string path_;
};

}  // namespace engram::image
