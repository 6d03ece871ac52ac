// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/scan.h"

#include <algorithm>
#include <vector>

namespace engram::paging {
namespace {

/// The buffer between reads and visits: full chunks go out, and their tail begins the next one.
class Chunker {
 public:
  using Visit = std::function<bool(VirtAddr, Bytes)>;

  Chunker(std::size_t overlap, std::size_t chunk_size, const Visit& visit)
      : overlap_(overlap), buffer_(chunk_size), visit_(visit) {}

  [[nodiscard]] VirtAddr next() const { return start_ + filled_; }
  [[nodiscard]] MutableBytes room() { return std::span(buffer_).subspan(filled_); }

  /// `count` bytes have been written to room().
  bool advance(std::size_t count) {
    filled_ += count;
    if (filled_ < buffer_.size()) return true;
    if (!visit_(start_, buffer_)) return false;
    std::copy(buffer_.end() - static_cast<std::ptrdiff_t>(overlap_), buffer_.end(),
              buffer_.begin());
    start_ = start_ + (filled_ - overlap_);
    filled_ = carried_ = overlap_;
    return true;
  }

  /// What follows does not continue what came before.
  bool restart(VirtAddr at) {
    const bool go_on = flush();
    start_ = at;
    filled_ = carried_ = 0;
    return go_on;
  }

  bool flush() { return filled_ == carried_ || visit_(start_, Bytes(buffer_).first(filled_)); }

 private:
  std::size_t overlap_;
  std::vector<std::byte> buffer_;
  const Visit& visit_;
  VirtAddr start_;
  std::size_t filled_ = 0;
  std::size_t carried_ = 0;  ///< bytes at the front that the chunk before has shown
};

/// Bytes from `at`, which could not be read, to where the next read may succeed.
std::uint64_t unreadable_bytes(const guest::Memory& memory, PhysAddr at) {
  if (const guest::Region* region = memory.find(at)) {
    if (region->backing == guest::Backing::unreadable) return region->end() - at;
    return kPageSize - at.value % kPageSize;  // the file failed: it may not fail on the next page
  }
  const auto regions = memory.regions();
  const auto next = std::upper_bound(
      regions.begin(), regions.end(), at,
      [](PhysAddr address, const guest::Region& region) { return address < region.start; });
  return next == regions.end() ? ~at.value : next->start - at;
}

bool scan_mapping(const guest::Memory& memory, const Mapping& mapping, Chunker& chunks) {
  std::uint64_t done = 0;
  while (done < mapping.size) {
    if (chunks.next() != mapping.start + done && !chunks.restart(mapping.start + done))
      return false;
    const MutableBytes room = chunks.room();
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), mapping.size - done));
    const auto got = memory.read(mapping.physical + done, room.first(count));
    if (!chunks.advance(got.count)) return false;
    done += got.count;
    if (got.complete()) continue;
    const std::uint64_t gap = unreadable_bytes(memory, mapping.physical + done);
    if (gap >= mapping.size - done) return true;
    done += gap;
  }
  return true;
}

}  // namespace

void for_each_chunk(const AddressSpace& space, std::span<const Mapping> mappings,
                    std::size_t overlap, const std::function<bool(VirtAddr, Bytes)>& visit,
                    std::size_t chunk_size) {
  Chunker chunks(overlap, chunk_size > overlap ? chunk_size : overlap + kPageSize, visit);
  for (const Mapping& mapping : mappings) {
    if (!scan_mapping(space.memory(), mapping, chunks)) return;
  }
  (void)chunks.flush();
}

}  // namespace engram::paging
