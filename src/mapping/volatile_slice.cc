// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

#include <algorithm>
#include <cstring>

namespace engram::mapping {

Transfer ConstVolatileSlice::read_beyond(std::uint64_t offset, MutableBytes to) const {
  if (to.empty()) return {};
  if (offset >= size_) return {0, MemoryErrc::out_of_bounds, 0, offset};
  const std::size_t room = size_ - static_cast<std::size_t>(offset);
  const std::size_t count = guarded_copy(to.first(room), {data_ + offset, room});
  const auto stop = count < room ? MemoryErrc::source_truncated : MemoryErrc::out_of_bounds;
  return {count, stop, 0, offset + count};
}

MemoryError ConstVolatileSlice::access_error(ConstVolatileSlice slice, std::uint64_t offset,
                                             std::size_t size, std::size_t alignment) {
  MemoryError error;
  error.address = offset;
  const auto end = checked_add<std::uint64_t>(offset, size);
  if (!end) {
    error.code = MemoryErrc::range_overflow;
    error.expected = size;
  } else if (*end > slice.size()) {
    error.code = MemoryErrc::out_of_bounds;
    error.address = *end;
  } else {
    error.code = MemoryErrc::misaligned;
    error.expected = alignment;
  }
  return error;
}

MemoryResult<bool> ConstVolatileSlice::is_zero() const {
  std::byte part[4096];
  for (std::size_t at = 0; at < size_;) {
    const std::size_t count = std::min(size_ - at, sizeof part);
    const std::size_t copied = guarded_copy({part, count}, {data_ + at, count});
    if (copied < count) return fail_memory(MemoryErrc::source_truncated, at + copied);
    // All bytes are equal to the one behind them, and the first is zero.
    if (part[0] != std::byte{0} || std::memcmp(part, part + 1, count - 1) != 0) return false;
    at += count;
  }
  return true;
}

}  // namespace engram::mapping
