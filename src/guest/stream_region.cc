// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/stream_region.h"

namespace engram::guest::detail {
namespace {

/// `move(bytes)` on those of `wanted` bytes from `at` on that are there; says why not on more.
template <class Move>
Transfer move_available(std::uint64_t available, std::uint64_t size, RegionOffset at,
                        std::size_t wanted, Move move) {
  if (wanted == 0) return {};
  const std::uint64_t room = at.value < available ? available - at.value : 0;
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, room));
  Transfer moved = move(there);
  if (moved.complete() && moved.count < wanted) {
    const bool inside = at.value + moved.count < size;
    moved.stop = inside ? MemoryErrc::source_truncated : MemoryErrc::out_of_bounds;
  }
  if (!moved.complete()) moved.address = at.value + moved.count;
  return moved;
}

}  // namespace

Transfer read_file(const FileRef& file, std::uint64_t available, std::uint64_t size,
                   RegionOffset at, MutableBytes to) {
  return move_available(available, size, at, to.size(), [&](std::size_t count) {
    return file.file.read_at(file.offset + at.value, to.first(count));
  });
}

Transfer write_file(const FileRef& file, std::uint64_t available, std::uint64_t size,
                    RegionOffset at, Bytes from) {
  return move_available(available, size, at, from.size(), [&](std::size_t count) {
    return file.file.write_at(file.offset + at.value, from.first(count));
  });
}

}  // namespace engram::guest::detail
