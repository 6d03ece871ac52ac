// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Host mappings: a host file in, an owned range of host memory out.
//
// In:     the path of a file.
// Out:    FileMapping, which owns the mapping and hands out its address range.
// Owner:  the FileMapping. Ranges that it hands out end with it.
// Errors: Error from open(); a fault while bytes are read is a short count, never a signal.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace engram::mapping {

/// A whole regular file, mapped read-only and private. Move-only.
///
/// The file may be truncated by somebody else while it is mapped, and its disk may fail: touch its
/// bytes through guarded.h only.
class FileMapping {
 public:
  /// Errors: no such file, no permission, not a regular file (a directory, a pipe, a device), out
  /// of address space. An empty file maps to no bytes.
  static Result<FileMapping> open(const std::string& path);

  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;
  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&& other) noexcept;
  ~FileMapping();

  /// The mapped range: as long as the file was when it was opened.
  [[nodiscard]] Bytes bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  FileMapping(std::string path, const std::byte* data, std::size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  void unmap() noexcept;

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace engram::mapping
