// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads a record of a PDB from its beginning on.

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "types/pdb_layout.h"

namespace engram::types::pdb {

/// Behind the end of the record everything is 0, and failed() is true from then on.
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  template <class T>
  T take() {
    const auto value = load<T>(rest_, 0);
    skip(sizeof(T));
    return value.value_or(T{});
  }

  void skip(std::size_t count) {
    failed_ |= count > rest_.size();
    rest_ = failed_ ? Bytes() : rest_.subspan(count);
  }

  /// A number below 0x8000 as it is, any other with a word before it that says how it is stored.
  /// A negative one keeps its bits.
  std::uint64_t number() {
    const auto first = take<std::uint16_t>();
    if (first < kFirstNumeric) return first;
    switch (first) {
      case kChar:
        return static_cast<std::uint64_t>(std::int64_t{take<std::int8_t>()});
      case kShort:
        return static_cast<std::uint64_t>(std::int64_t{take<std::int16_t>()});
      case kUShort:
        return take<std::uint16_t>();
      case kLong:
        return static_cast<std::uint64_t>(std::int64_t{take<std::int32_t>()});
      case kULong:
        return take<std::uint32_t>();
      case kQuad:
      case kUQuad:
        return take<std::uint64_t>();
      default:
        failed_ = true;
        return 0;
    }
  }

  /// Up to its NUL, which must be there.
  std::string_view text() {
    const std::string_view text = text_until_nul(rest_);
    skip(text.size() + 1);
    return failed_ ? std::string_view() : text;
  }

  /// Bytes 0xF1 to 0xFF say how many bytes are left to the next part.
  void skip_padding() {
    constexpr std::uint8_t kPadding = 0xF0;
    if (rest_.empty()) return;
    const auto first = std::to_integer<std::uint8_t>(rest_.front());
    if (first > kPadding) skip(first - kPadding);
  }

 private:
  Bytes rest_;
  bool failed_ = false;
};

}  // namespace engram::types::pdb
