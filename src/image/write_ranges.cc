// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/write_ranges.h"

#include <algorithm>
#include <cstring>

namespace engram::image {
namespace {

using guest::Backing;
using guest::Region;

constexpr std::size_t kChunk = 256 * kKiB;

bool is_zero(Bytes bytes) {
  return bytes.empty() || (bytes[0] == std::byte{} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

/// Pages of zeros as zeros(), what lies between them in one piece.
Result<void> write_sparse(Bytes bytes, Sink& sink) {
  while (!bytes.empty()) {
    const bool zero = is_zero(bytes.first(std::min<std::size_t>(bytes.size(), kPageSize)));
    std::size_t run = 0;
    while (run < bytes.size()) {
      const auto page = bytes.subspan(run, std::min<std::size_t>(bytes.size() - run, kPageSize));
      if (is_zero(page) != zero) break;
      run += page.size();
    }
    if (zero) {
      ENGRAM_CHECK(sink.zeros(run));
    } else {
      ENGRAM_CHECK(sink.write(bytes.first(run)));
    }
    bytes = bytes.subspan(run);
  }
  return {};
}

}  // namespace

std::optional<PresentRange> PresentRanges::next() {
  const auto readable = [](const Region& r) { return r.backing != Backing::unreadable; };
  auto at = std::find_if(regions_.begin(), regions_.end(), readable);
  if (at == regions_.end()) return std::nullopt;
  PresentRange range{at->start, at->size};
  PhysAddr last = at->last();
  for (++at; at != regions_.end() && readable(*at) && at->start - last == 1; ++at) {
    const auto size = checked_add(range.size, at->size);
    if (!size) break;  // all 2^64 bytes: as two ranges
    range.size = *size;
    last = at->last();
  }
  regions_ = {at, regions_.end()};
  return range;
}

Result<Written> survey(const guest::Memory& memory) {
  Written all;
  PresentRanges ranges(memory);
  while (const auto range = ranges.next()) {
    const auto bytes = checked_add(all.bytes, range->size);
    if (!bytes) return fail("write: the memory has more than 2^64 - 1 bytes");
    all.bytes = *bytes;
    ++all.ranges;
  }
  for (const Region& region : memory.regions()) {
    if (region.backing == Backing::unreadable) all.unreadable += region.size;
  }
  if (all.ranges == 0) return fail("write: the memory has no byte that can be read");
  return all;
}

RangeCopier::RangeCopier(const guest::Memory& memory, Sink& sink)
    : memory_(memory), sink_(sink), chunk_(kChunk) {}

Result<void> RangeCopier::copy(PresentRange range) {
  while (range.size > 0) {
    const Region* const region = memory_.find(range.start);
    const std::uint64_t left = region->last() - range.start;  // besides the first byte
    const std::uint64_t size = std::min(left, range.size - 1) + 1;
    ENGRAM_CHECK(copy_part(*region, range.start, size));
    range = {range.start + size, range.size - size};
  }
  return {};
}

Result<void> RangeCopier::copy_part(const Region& region, PhysAddr from, std::uint64_t size) {
  // There is nothing to read in it, and a damaged file may declare more of it than could ever be.
  if (region.backing == Backing::zero) return sink_.zeros(size);
  while (size > 0) {
    // Up to a multiple of the page size, so that pages of the memory are found to be zero.
    const std::uint64_t room = chunk_.size() - from.mask(kPageMask);
    const auto part = std::span(chunk_).first(static_cast<std::size_t>(std::min(size, room)));
    const auto outcome = memory_.read(from, part);
    if (!outcome.complete()) {
      return fail("write: the byte at {:#x} cannot be read any more", from.value + outcome.count);
    }
    ENGRAM_CHECK(write_sparse(part, sink_));
    from = from + part.size();
    size -= part.size();
  }
  return {};
}

}  // namespace engram::image
