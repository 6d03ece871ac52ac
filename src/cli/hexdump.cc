// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/hexdump.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

namespace engram::cli {

Result<void> Hexdump::add(Bytes bytes) {
  for (const std::byte byte : bytes) ENGRAM_CHECK(put(byte, true));
  return {};
}

Result<void> Hexdump::add_gap(std::uint64_t count) {
  while (count > 0) {
    if (used_ == 0 && gap_ == Gap::starred && count > kInLine) {
      // Nothing is written for whole lines; the last one is left, which may be the end.
      const std::uint64_t skipped = (count - 1) / kInLine * kInLine;
      address_ += skipped;
      count -= skipped;
    }
    ENGRAM_CHECK(put(std::byte{}, false));
    --count;
  }
  return {};
}

Result<void> Hexdump::finish() {
  return used_ > 0 ? write_line() : Result<void>();
}

Result<void> Hexdump::put(std::byte byte, bool is_there) {
  line_[used_] = byte;
  there_[used_] = is_there;
  ++used_;
  return used_ == kInLine ? write_line() : Result<void>();
}

Result<void> Hexdump::write_line() {
  const bool is_gap = std::none_of(there_.begin(), there_.begin() + static_cast<long>(used_),
                                   [](bool there) { return there; });
  const std::uint64_t address = address_;
  const std::size_t used = used_;
  address_ += used_;
  used_ = 0;
  if (is_gap && gap_ == Gap::starred) return {};
  if (is_gap && gap_ == Gap::shown) {
    gap_ = Gap::starred;
    return sink_.write("*\n");
  }
  gap_ = is_gap ? Gap::shown : Gap::none;

  std::string text = fmt::format("{:016x} ", address);
  std::string letters;
  for (std::size_t i = 0; i < kInLine; ++i) {
    if (i % 8 == 0) text += ' ';
    if (i >= used) {
      text += "   ";
      continue;
    }
    const auto byte = static_cast<unsigned char>(line_[i]);
    text += there_[i] ? fmt::format("{:02x} ", byte) : "?? ";
    const bool is_printable = byte >= 0x20 && byte < 0x7F;
    letters += !there_[i] ? '?' : is_printable ? static_cast<char>(byte) : '.';
  }
  return sink_.write(text + " |" + letters + "|\n");
}

}  // namespace engram::cli
