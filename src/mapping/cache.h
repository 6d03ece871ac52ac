// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Processor caches: what a program needs that writes instructions, or memory that a device reads
// past the caches.

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "mapping/memory_error.h"

namespace engram::mapping {

/// Calls `line(address)` for the start of every cache line that holds one of the bytes, first to
/// last; returns how many. A range that begins inside a line ends inside one more. `line_size` is a
/// power of two.
template <class Line>
std::size_t for_each_cache_line(std::uint64_t address, std::uint64_t size, std::uint64_t line_size,
                                Line&& line) {
  if (size == 0) return 0;
  const std::uint64_t first = align_down(address, line_size);
  const std::uint64_t last = align_down(address + size - 1, line_size);
  const std::uint64_t count = (last - first) / line_size + 1;
  for (std::uint64_t index = 0; index < count; ++index) line(first + index * line_size);
  return static_cast<std::size_t>(count);
}

/// Bytes of a line of the data cache that one instruction flushes; 0 where that is not known.
[[nodiscard]] std::size_t data_cache_line();

/// Writes the lines that hold the bytes back to memory; returns how many. Errors: unsupported on
/// this processor; source_truncated if a line is not there to be flushed.
[[nodiscard]] MemoryResult<std::size_t> flush_data_cache(const std::byte* from, std::size_t size);

/// Makes what was written there visible to instruction fetches. Nothing to do on x86.
void flush_instruction_cache(const std::byte* from, std::size_t size);

}  // namespace engram::mapping
