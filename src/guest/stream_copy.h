// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bytes between a stream and a part of one region: straight into or out of host memory where the
// region has some, through a buffer where not. For access.h.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "guest/region.h"
#include "mapping/stream.h"

namespace engram::guest::detail {

enum class Amount : std::uint8_t { one_attempt, all };

inline constexpr std::size_t kBufferSize = 16 * kKiB;

template <mapping::VolatileReader Stream, DirtyTracker D>
Transfer read_slice(const VolatileSlice<D>& slice, Stream& stream, Amount amount) {
  return amount == Amount::all ? mapping::read_exact(stream, slice)
                               : mapping::read_some(stream, slice);
}

/// `use(slice)` on a view of the part; of a part that the file behind the region ends in, on what
/// there is of it, with the stop that follows. Nothing if the region has no host memory.
template <class View, class Use>
std::optional<Transfer> with_view(View view, RegionOffset at, std::uint64_t size, Use use) {
  const auto whole = view(size);
  if (whole) return use(*whole);
  if (whole.error().code != MemoryErrc::source_truncated) return std::nullopt;
  const std::uint64_t there = whole.error().address - at.value;
  if (there >= size) return std::nullopt;
  const auto part = view(there);
  if (!part) return std::nullopt;
  const Transfer moved = use(*part);
  if (moved.count < there) return moved;
  return Transfer{moved.count, MemoryErrc::source_truncated, 0, at.value + there};
}

template <WritableRegion R, mapping::VolatileReader Stream>
Transfer read_piece(const R& region, RegionOffset at, std::uint64_t size, Stream& stream,
                    Amount amount) {
  const auto view = [&](std::uint64_t part) { return region.mutable_view(at, part); };
  const auto read = [&](const auto& slice) { return read_slice(slice, stream, amount); };
  if (const auto moved = with_view(view, at, size, read)) return *moved;
  std::array<std::byte, kBufferSize> buffer;
  std::size_t done = 0;
  while (done < size) {
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, kBufferSize));
    const Transfer got =
        read_slice(VolatileSlice<>(MutableBytes(buffer).first(room)), stream, amount);
    const std::size_t count = std::min(got.count, room);
    const Transfer stored = region.write(at + done, Bytes(buffer).first(count));
    done += std::min(stored.count, count);
    if (stored.count < count) return {done, stored.stop, stored.os_errno, done};
    if (count < room) return {done, got.stop, got.os_errno, done};
  }
  return {done};
}

template <ReadableRegion R, mapping::VolatileWriter Stream>
Transfer write_piece(const R& region, RegionOffset at, std::uint64_t size, Stream& stream) {
  const auto view = [&](std::uint64_t part) { return region.view(at, part); };
  const auto write = [&](ConstVolatileSlice slice) { return mapping::write_all(stream, slice); };
  if (const auto moved = with_view(view, at, size, write)) return *moved;
  std::array<std::byte, kBufferSize> buffer;
  std::size_t done = 0;
  while (done < size) {
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, kBufferSize));
    const Transfer got = region.read(at + done, MutableBytes(buffer).first(room));
    const std::size_t count = std::min(got.count, room);
    const Transfer written =
        mapping::write_all(stream, ConstVolatileSlice(Bytes(buffer).first(count)));
    done += written.count;
    if (written.count < count) return {done, written.stop, written.os_errno, done};
    if (count < room) return {done, got.stop, got.os_errno, done};
  }
  return {done};
}

template <WritableRegion R>
Transfer fill_piece(const R& region, RegionOffset at, std::uint64_t size, std::byte value) {
  const auto view = [&](std::uint64_t part) { return region.mutable_view(at, part); };
  const auto fill = [&](const auto& slice) { return slice.fill(value); };
  if (const auto moved = with_view(view, at, size, fill)) return *moved;
  std::array<std::byte, kBufferSize> buffer;
  buffer.fill(value);
  std::size_t done = 0;
  while (done < size) {
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, kBufferSize));
    const Transfer stored = region.write(at + done, Bytes(buffer).first(room));
    done += std::min(stored.count, room);
    if (stored.count < room) return {done, stored.stop, stored.os_errno, done};
  }
  return {done};
}

}  // namespace engram::guest::detail
