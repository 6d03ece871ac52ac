// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of a kdump file by their offsets in its plain form, also of a flattened one.

#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "guest/memory.h"
#include "image/contents.h"
#include "image/file_view.h"

namespace engram::image::kdump {

[[nodiscard]] bool is_flattened(Bytes head);

/// Does not own the bytes. Of a flattened file it has an index: less than 27 bytes a record, in a
/// file that is packed by blocks some 80.
class PlainFile {
 public:
  /// Whether the file is cut goes to the notices. Errors: a flattened file without a usable record.
  static Result<PlainFile> open(const FileView& file, Contents& contents);

  /// The end of the last byte that there is.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool flattened() const { return flattened_; }

  /// Reads up to the first byte that the file does not have; how many that were.
  [[nodiscard]] std::size_t read(FileOffset from, MutableBytes to) const {
    return bytes_.read(PhysAddr(from.value), to).count;
  }
  /// A structure, or nothing if the file does not have all of it.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> load(FileOffset from) const {
    T value;
    if (read(from, std::as_writable_bytes(std::span(&value, 1))) != sizeof value) {
      return std::nullopt;
    }
    return value;
  }
  /// A copy of `length` bytes from `from`, or of those that the file has.
  [[nodiscard]] std::vector<std::byte> copy(FileOffset from, std::uint64_t length) const;

 private:
  PlainFile() = default;

  // What finds the region of an address finds the record of an offset, too.
  guest::Memory bytes_;
  std::uint64_t size_ = 0;
  bool flattened_ = false;
};

}  // namespace engram::image::kdump
