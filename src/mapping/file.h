// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// An open host file that several mappings and readers share.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "mapping/memory_error.h"

namespace engram::mapping {

/// A range of bytes of a file.
struct FileExtent {
  FileOffset start;
  std::uint64_t size = 0;  ///< bytes

  constexpr bool operator==(const FileExtent&) const = default;
};

/// A file descriptor with shared ownership: copies name the same open file, which is closed with
/// the last of them. The const members may be called from any thread.
class File {
 public:
  enum class Access : std::uint8_t { read_only, read_write };
  /// Device and inode: two descriptors of one file have the same.
  struct Identity {
    std::uint64_t device = 0, inode = 0;
    constexpr bool operator==(const Identity&) const = default;
  };

  /// A regular file by name. Errors, as text that names it: no such file, no permission, not a
  /// regular file (a directory, a pipe, a device).
  static Result<File> open(const std::string& path, Access access = Access::read_only);
  /// Takes over a descriptor; it is closed even if this fails. Errors: os (EBADF).
  static MemoryResult<File> adopt(int fd);
  /// A duplicate of somebody else's descriptor. Errors: os (EBADF, EMFILE).
  static MemoryResult<File> duplicate(int fd);

  /// For system calls; valid as long as this or a copy of it lives.
  [[nodiscard]] int fd() const;
  /// Bytes that the file has now. Errors: os.
  [[nodiscard]] MemoryResult<std::uint64_t> size() const;
  [[nodiscard]] MemoryResult<Identity> identity() const;

  /// pread(2) until `to` is full, the file ends (source_truncated) or it fails (os).
  [[nodiscard]] Transfer read_at(FileOffset from, MutableBytes to) const;
  /// pwrite(2) until all is written, the file takes no more (write_zero) or it fails (os).
  [[nodiscard]] Transfer write_at(FileOffset to, Bytes from) const;

  /// Sets the length; what is new reads as zeros. Errors: os (EFBIG for sizes that no file has).
  MemoryResult<void> resize(std::uint64_t size) const;
  /// Waits until the content is on the disk. Errors: os.
  MemoryResult<void> sync() const;

  // On an empty extent the following do nothing. Errors: os; EOPNOTSUPP where the file system
  // cannot do it, EFBIG for an extent that ends where no file does.

  /// Gives blocks to the extent; the file grows if it ended before.
  MemoryResult<void> allocate(FileExtent extent) const;
  /// Takes the blocks away: the extent reads as zeros. The length stays.
  MemoryResult<void> punch_hole(FileExtent extent) const;
  /// Makes the extent read as zeros and keeps blocks for it; the file grows if it ended before.
  /// Writes the zeros out where the file system has no shorter way.
  MemoryResult<void> write_zeroes(FileExtent extent) const;

  /// The parts of `within` that are data and not holes, in order, cut at the end of the file. A
  /// file system that does not know its holes reports one extent. Moves the descriptor's position
  /// (SEEK_DATA), which nothing else here uses. Errors: os.
  [[nodiscard]] MemoryResult<std::vector<FileExtent>> data_extents(FileExtent within) const;

  /// Where the first data at or behind `from` begins; nothing if there is none up to the end. A
  /// file system that does not know its holes says `from`. Moves the position, too. Errors: os.
  [[nodiscard]] MemoryResult<std::optional<FileOffset>> next_data(FileOffset from) const;

 private:
  struct Descriptor;
  explicit File(std::shared_ptr<const Descriptor> descriptor);
  std::shared_ptr<const Descriptor> descriptor_;
};

/// Where in a file something begins.
struct FileRef {
  File file;
  FileOffset offset;
};

}  // namespace engram::mapping
