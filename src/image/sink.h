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

[[nodiscard]] bool is_zero(Bytes bytes);

/// Writes pages of zeros as zeros(), and what lies between them in one piece. The first byte is
/// byte `in_page` of a page. Errors: those of the sink.
Result<void> write_sparse(Bytes bytes, std::uint64_t in_page, Sink& sink);

/// A new file, in which zeros are holes. Move-only. Until it is finished it has another name, which
/// begins with its own; what was not finished is removed.
class FileSink final : public Sink {
 public:
  /// Errors: there is a file of this name (it may be the source of the bytes); no permission.
  static Result<FileSink> create(const std::string& path);

  FileSink(FileSink&& other) noexcept;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  FileSink& operator=(FileSink&&) = delete;
  ~FileSink() override;

  /// Errors: no room.
  Result<void> write(Bytes bytes) override;
  /// Errors: a file cannot be so long.
  Result<void> zeros(std::uint64_t count) override;
  /// Replaces bytes that were written before, or zeros. Errors: as write(); they do not all lie
  /// before what is written next.
  Result<void> write_over(FileOffset at, Bytes bytes);
  /// Where the next byte goes.
  [[nodiscard]] FileOffset position() const { return at_; }
  /// Gives the file its length, waits until it is on the disk, and gives it its name. Errors: as
  /// above; a file has got that name meanwhile.
  Result<void> finish();

 private:
  struct Unfinished;
  FileSink(std::string path, std::string unfinished, mapping::File file);
  Result<void> write_at(FileOffset at, Bytes bytes);

  mapping::File file_;
  FileOffset at_;
  std::unique_ptr<Unfinished> unfinished_;
  std::string path_;
};

}  // namespace engram::image
