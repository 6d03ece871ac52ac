// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bytes of memory for people: lines of 16 with their address, ?? for bytes that are not there.

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "output/sink.h"

namespace engram::cli {

/// Takes bytes and gaps one after the other. Of lines that are all gap the first is written and
/// then one with an asterisk for all others.
class Hexdump {
 public:
  static constexpr std::size_t kInLine = 16;

  /// `address` is that of the first byte, with which the first line begins.
  Hexdump(output::Sink& sink, std::uint64_t address) : sink_(sink), address_(address) {}

  // Errors of all: those of the sink.
  Result<void> add(Bytes bytes);
  Result<void> add_gap(std::uint64_t count);
  /// Writes the last line.
  Result<void> finish();

 private:
  Result<void> put(std::byte byte, bool is_there);
  Result<void> write_line();

  output::Sink& sink_;
  std::uint64_t address_;  // of the line
  std::array<std::byte, kInLine> line_{};
  std::array<bool, kInLine> there_{};
  std::size_t used_ = 0;
  enum class Gap : std::uint8_t { none, shown, starred } gap_ = Gap::none;
};

}  // namespace engram::cli
