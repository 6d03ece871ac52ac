// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of an image file as format readers see them: bounds-checked, and safe against a file
// that shrinks while it is read.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/units.h"
#include "mapping/guarded.h"

namespace engram::image {

/// Does not own the bytes.
class FileView {
 public:
  explicit FileView(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }

  /// How many of `length` bytes from `offset` the file has.
  [[nodiscard]] std::uint64_t available(FileOffset offset, std::uint64_t length) const {
    return offset.value < size() ? std::min(length, size() - offset.value) : 0;
  }

  /// Where the byte at `offset` is mapped; `offset` must lie in the file.
  [[nodiscard]] const std::byte* host(FileOffset offset) const {
    return bytes_.data() + offset.value;
  }

  /// A structure, or nothing if the file does not have all of it.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> load(FileOffset offset) const {
    const auto from = slice(bytes_, offset.value, sizeof(T));
    T value;
    const MutableBytes to = std::as_writable_bytes(std::span(&value, 1));
    if (!from || mapping::guarded_copy(to, *from) != to.size()) return std::nullopt;
    return value;
  }

  /// A copy of `length` bytes from `offset`, or of those that the file has.
  [[nodiscard]] std::vector<std::byte> copy(FileOffset offset, std::uint64_t length) const {
    const auto from = slice(bytes_, std::min(offset.value, size()), available(offset, length));
    std::vector<std::byte> to(from->size());
    to.resize(mapping::guarded_copy(to, *from));
    return to;
  }

 private:
  Bytes bytes_;
};

}  // namespace engram::image
