// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/scan.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

namespace engram::guest {
namespace {

/// Collects contiguous bytes and hands them out a chunk at a time.
class Chunks {
 public:
  Chunks(std::size_t chunk_size, std::size_t overlap,
         const std::function<bool(PhysAddr, Bytes)>& visit)
      : buffer_(chunk_size), overlap_(overlap), visit_(visit) {}

  /// Room for new bytes, which begin at `at`.
  MutableBytes room(PhysAddr at) {
    if (at != next_) filled_ = 0;
    next_ = at;
    if (filled_ == buffer_.size()) keep_overlap();
    return MutableBytes(buffer_).subspan(filled_);
  }

  /// `count` bytes of the room are there now. False if the visitor has seen enough.
  bool advance(std::size_t count) {
    filled_ += count;
    fresh_ += count;
    next_ = next_ + count;
    return filled_ < buffer_.size() || flush();
  }

  /// Hands out what has not been seen yet. False if the visitor has seen enough.
  bool flush() {
    if (fresh_ == 0) return true;
    fresh_ = 0;
    return visit_(next_ - filled_, Bytes(buffer_).first(filled_));
  }

 private:
  void keep_overlap() {
    std::memmove(buffer_.data(), buffer_.data() + (filled_ - overlap_), overlap_);
    filled_ = overlap_;
  }

  std::vector<std::byte> buffer_;
  const std::size_t overlap_;
  const std::function<bool(PhysAddr, Bytes)>& visit_;
  PhysAddr next_;           // of the byte after the last one in the buffer
  std::size_t filled_ = 0;  // bytes in the buffer
  std::size_t fresh_ = 0;   // of these, how many the visitor has not seen
};

/// Bytes from `offset` of the region to the end of a page: what one fault tells to be unreadable.
/// A mapped file fails by pages of the host, which need not lie as those of the guest do.
std::uint64_t rest_of_page(const Region& region, std::uint64_t offset) {
  const std::uint64_t at = region.backing == Backing::host
                               ? reinterpret_cast<std::uintptr_t>(region.host + offset)
                               : (region.start + offset).value;
  return kPageSize - (at & kPageMask);
}

/// The part of `region` in [first, last]. False if the visitor has seen enough.
bool visit_region(const Region& region, PhysAddr first, PhysAddr last, Chunks& chunks) {
  const std::uint64_t begin = first > region.start ? first - region.start : 0;
  const std::uint64_t final_byte = std::min(last, region.last()) - region.start;
  std::uint64_t offset = begin;
  while (offset <= final_byte) {
    const MutableBytes room = chunks.room(region.start + offset);
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(final_byte - offset, room.size() - 1) + 1);
    const std::size_t copied = region.read(RegionOffset(offset), room.first(count)).count;
    if (!chunks.advance(copied)) return false;
    offset += copied;
    if (copied == count) continue;
    if (!chunks.flush()) return false;
    offset += std::min(rest_of_page(region, offset), region.size - offset);
  }
  return true;
}

}  // namespace

void for_each_chunk(const Memory& memory, PhysAddr first, PhysAddr last, std::size_t overlap,
                    const std::function<bool(PhysAddr, Bytes)>& visit, std::size_t chunk_size) {
  assert(overlap < chunk_size);
  Chunks chunks(chunk_size, overlap, visit);
  const auto regions = memory.regions();
  auto region = std::partition_point(regions.begin(), regions.end(),
                                     [first](const Region& r) { return r.last() < first; });
  const Region* previous = nullptr;
  for (; region != regions.end() && region->start <= last; ++region) {
    if (!region->is_stored()) continue;
    const bool contiguous = previous != nullptr && previous->end() == region->start;
    if (!contiguous && !chunks.flush()) return;
    if (!visit_region(*region, first, last, chunks)) return;
    previous = &*region;
  }
  chunks.flush();
}

}  // namespace engram::guest
