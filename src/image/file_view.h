// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of an image file as format readers see them: bounds-checked, and safe against a file
// that shrinks while it is read. They are mapped, or made by a source where they are asked for.

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/units.h"
#include "guest/memory.h"
#include "image/byte_source.h"
#include "mapping/guarded.h"

namespace engram::image {

/// Why a file of `size` bytes does not give `length` of them from `offset` on, for a message.
inline std::string lack_of(std::uint64_t size, FileOffset offset, std::uint64_t length) {
  if (offset.value > size || length > size - offset.value) {
    return fmt::format("the file ends at {:#x}", size);
  }
  return fmt::format("the file cannot be read at {:#x} (it was cut, or the disk fails)",
                     offset.value);
}

/// Does not own the bytes.
class FileView {
 public:
  explicit FileView(Bytes bytes) : FileView(bytes, bytes.size()) {}
  explicit FileView(const ByteSource& source) : FileView(source, source.size()) {}
  /// Of a file that is packed as a whole, and has `packed` bytes.
  FileView(Bytes bytes, std::uint64_t packed)
      : bytes_(bytes.data()), size_(bytes.size()), packed_(packed) {}
  FileView(const ByteSource& source, std::uint64_t packed)
      : source_(&source), size_(source.size()), packed_(packed) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// How many bytes somebody had to store: fewer than size() if the file is packed. What is kept
  /// in memory for each part of a file is bounded by this.
  [[nodiscard]] std::uint64_t packed_size() const { return packed_; }

  /// How many of `length` bytes from `offset` the file has.
  [[nodiscard]] std::uint64_t available(FileOffset offset, std::uint64_t length) const {
    return offset.value < size() ? std::min(length, size() - offset.value) : 0;
  }

  /// Guest memory whose bytes are those from `at` on, all of which lie in the file.
  [[nodiscard]] guest::Region region(PhysAddr start, std::uint64_t size, FileOffset at) const {
    if (source_ != nullptr) return source_->region(start, size, at);
    return {start, size, guest::Backing::host, bytes_ + at.value};
  }

  /// Reads up to the first byte that the file does not have; how many that were.
  [[nodiscard]] std::size_t read(FileOffset from, MutableBytes to) const {
    const auto there = static_cast<std::size_t>(available(from, to.size()));
    if (source_ != nullptr) return source_->read(from, to.first(there));
    return mapping::guarded_copy(to.first(there),
                                 Bytes(bytes_ + (there > 0 ? from.value : 0), there));
  }

  /// Why fewer than `length` bytes could be read at `offset`, for a message.
  [[nodiscard]] std::string lack(FileOffset offset, std::uint64_t length) const {
    return lack_of(size(), offset, length);
  }

  /// A structure, or nothing if the file does not have all of it.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> load(FileOffset offset) const {
    T value;
    const MutableBytes to = std::as_writable_bytes(std::span(&value, 1));
    if (read(offset, to) != to.size()) return std::nullopt;
    return value;
  }

  /// A copy of `length` bytes from `offset`, or of those that the file has.
  [[nodiscard]] std::vector<std::byte> copy(FileOffset offset, std::uint64_t length) const {
    std::vector<std::byte> to(static_cast<std::size_t>(available(offset, length)));
    to.resize(read(offset, to));
    return to;
  }

 private:
  const std::byte* bytes_ = nullptr;
  const ByteSource* source_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t packed_ = 0;
};

}  // namespace engram::image
