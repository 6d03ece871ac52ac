// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/scan.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/in_order.h"
#include "base/interruption.h"
#include "mapping/bulk.h"

namespace engram::guest {
namespace {

/// Collects contiguous bytes and hands them out a chunk at a time.
class Chunks {
 public:
  Chunks(std::size_t chunk_size, std::size_t overlap,
         const std::function<bool(PhysAddr, Bytes)>& visit)
      : buffer_(chunk_size), overlap_(overlap), visit_(visit) {}

  [[nodiscard]] std::size_t overlap() const { return overlap_; }

  /// Says where the next bytes begin. False if the visitor has seen enough.
  bool go_to(PhysAddr at) { return at == next_ || flush(); }

  /// Room for new bytes, which begin at `at`.
  MutableBytes room(PhysAddr at) {
    if (at != next_) filled_ = 0;
    next_ = at;
    if (filled_ == buffer_.size()) keep_overlap();
    return MutableBytes(buffer_).subspan(filled_);
  }

  /// Hands out `size` bytes where they lie, `begin` bytes into `buffer`, and whose overlap fits in
  /// front of them. False if the visitor has seen enough.
  bool show(PhysAddr at, MutableBytes buffer, std::size_t begin, std::size_t size) {
    const bool continues = at == next_;
    if ((!continues || filled_ > overlap_) && !flush()) return false;
    const std::size_t carried = continues ? std::min(filled_, overlap_) : 0;
    const auto kept = buffer_.begin() + static_cast<std::ptrdiff_t>(filled_);
    std::copy(kept - static_cast<std::ptrdiff_t>(carried), kept,
              buffer.begin() + static_cast<std::ptrdiff_t>(begin - carried));
    Bytes rest = Bytes(buffer).subspan(begin - carried, carried + size);
    next_ = at + size;
    fresh_ += size;
    while (rest.size() > overlap_) {
      const Bytes chunk = rest.first(std::min(rest.size(), buffer_.size()));
      fresh_ = 0;
      if (!visit_(next_ - rest.size(), chunk)) return false;
      rest = rest.subspan(chunk.size() - overlap_);
      if (chunk.data() + chunk.size() == rest.data() + rest.size()) break;
    }
    std::copy(rest.begin(), rest.end(), buffer_.begin());
    filled_ = rest.size();
    return true;
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
                               ? reinterpret_cast<std::uintptr_t>(region.host() + offset)
                               : (region.start + offset).value;
  return kPageSize - (at & kPageMask);
}

/// The part of `region` in [first, last]. False if the visitor has seen enough.
bool visit_region(const Memory& memory, const Region& region, PhysAddr first, PhysAddr last,
                  Chunks& chunks) {
  const std::uint64_t begin = first > region.start ? first - region.start : 0;
  const std::uint64_t final_byte = std::min(last, region.last()) - region.start;
  std::uint64_t offset = begin;
  while (offset <= final_byte) {
    if (const std::uint64_t hole = memory.hole_at(region, offset) & ~kPageMask; hole != 0) {
      if (!chunks.flush()) return false;
      offset += hole;
      continue;
    }
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

// Bytes that are made when they are read are made on all processors, ahead of the visitor: so much
// at once ...
constexpr std::uint64_t kBatch = 1 * kMiB;
// ... but not before it has seen so much, because most searches end early.
constexpr std::uint64_t kSmallBatch = 64 * kKiB;
constexpr std::uint64_t kBeforeThreads = 1 * kMiB;
constexpr std::uint64_t kLooksPerByte = 4;  // of a page only some words are read

/// Part of a region.
struct Extent {
  const Region* region = nullptr;
  std::uint64_t offset = 0, size = 0;
};

/// Bytes of several extents, without those that could not be made.
struct Batch {
  struct Part {
    PhysAddr at;
    std::size_t begin = 0, size = 0;  // in `bytes`
  };
  std::vector<Part> parts;
  mapping::BulkVector<std::byte> bytes;  // with room for the overlap in front

  void add(PhysAddr at, std::size_t begin, std::size_t size) {
    if (size == 0) return;
    if (!parts.empty() && parts.back().at + parts.back().size == at) {
      parts.back().size += size;
    } else {
      parts.push_back({at, begin, size});
    }
  }
};

/// `batch`: whose memory is used.
Batch read_batch(const std::vector<Extent>& extents, std::size_t overlap, Batch batch) {
  batch.parts.clear();
  std::size_t filled = overlap;
  std::size_t size = overlap;
  for (const Extent& extent : extents) size += static_cast<std::size_t>(extent.size);
  batch.bytes.resize(size);
  for (const Extent& extent : extents) {
    const std::uint64_t end = extent.offset + extent.size;
    for (std::uint64_t offset = extent.offset; offset < end;) {
      const auto room =
          MutableBytes(batch.bytes).subspan(filled, static_cast<std::size_t>(end - offset));
      const PhysAddr at = extent.region->start + offset;
      const std::size_t count = extent.region->source().read_once(at, room).count;
      batch.add(at, filled, count);
      filled += count;
      offset += count;
      if (count < room.size()) {
        offset += std::min(rest_of_page(*extent.region, offset), end - offset);
      }
    }
  }
  return batch;
}

/// Neighbouring regions that make their bytes, cut into batches.
class Batches {
 public:
  Batches(std::span<const Region> regions, PhysAddr first, PhysAddr last)
      : regions_(regions), first_(first), last_(last) {}

  /// So many bytes at most; none at the end.
  std::vector<Extent> next(std::uint64_t most) {
    std::vector<Extent> extents;
    while (most > 0 && !regions_.empty()) {
      const Region& region = regions_.front();
      const std::uint64_t begin =
          std::max(done_, first_ > region.start ? first_ - region.start : std::uint64_t{0});
      const std::uint64_t left = std::min(last_, region.last()) - region.start - begin;
      const std::uint64_t size = std::min(left, most - 1) + 1;
      extents.push_back({&region, begin, size});
      most -= size;
      done_ = begin + size;
      if (size <= left) continue;
      regions_ = regions_.subspan(1);
      done_ = 0;
    }
    return extents;
  }

 private:
  std::span<const Region> regions_;  // that are left
  PhysAddr first_, last_;
  std::uint64_t done_ = 0;  // of the first of them
};

/// Has results made on all processors, ahead of `use`, which gets them in order until it returns
/// false: false then. `next(most)` returns what is to be made next, of `most` bytes at most, as
/// extents, none at the end; `make(extents)` is called on any thread.
template <class T, class Next, class Make, class Use>
bool run_ahead(Next next, const Make& make, Use use) {
  InOrder<T> tasks;
  std::uint64_t planned = 0;
  for (bool more = true; more || !tasks.empty();) {
    if (more && !tasks.full()) {
      const bool is_small = planned < kBeforeThreads;
      std::vector<Extent> extents = next(is_small ? kSmallBatch : kBatch);
      for (const Extent& extent : extents) planned += extent.size;
      more = !extents.empty();
      if (!more) continue;
      tasks.add([&make, extents = std::move(extents)]() -> Result<T> { return make(extents); },
                is_small);
      continue;
    }
    auto made = tasks.take();  // a task that cannot fail
    if (!use(std::move(*made))) return false;
  }
  return true;
}

/// Batches whose memory serves again.
class UsedBatches {
 public:
  Batch take() {
    const std::lock_guard lock(mutex_);
    if (batches_.empty()) return {};
    Batch batch = std::move(batches_.back());
    batches_.pop_back();
    return batch;
  }
  void give_back(Batch batch) {
    const std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
  }

 private:
  std::mutex mutex_;
  std::vector<Batch> batches_;
};

/// False if the visitor has seen enough.
bool visit_made(Batches batches, Chunks& chunks) {
  UsedBatches used;
  return run_ahead<Batch>([&](std::uint64_t most) { return batches.next(most); },
                          [&](const std::vector<Extent>& extents) {
                            return read_batch(extents, chunks.overlap(), used.take());
                          },
                          [&](Batch batch) {
                            for (const Batch::Part& part : batch.parts) {
                              if (!chunks.show(part.at, batch.bytes, part.begin, part.size))
                                return false;
                            }
                            used.give_back(std::move(batch));
                            return true;
                          });
}

/// What a memory has stored, in units of some bytes and at multiples of them; holes of files are
/// left out where they are large.
class Stored {
 public:
  Stored(const Memory& memory, std::uint64_t unit, const PageLimits& limits = {})
      : memory_(memory), regions_(memory.regions()), unit_(unit), limits_(limits) {}

  /// So many bytes at most; none at the end. Throws Interrupted.
  std::vector<Extent> next(std::uint64_t most) {
    std::vector<Extent> extents;
    for (std::uint64_t left = std::min(most / unit_, limits_.pages); left != 0;) {
      end_if_interrupted();
      if (!go_to_unit()) break;
      const Region& region = regions_.front();
      const std::uint64_t before_last = limits_.last - (region.start + at_);
      const std::uint64_t units =
          std::min({(region.size - at_) / unit_, left, before_last / unit_ + 1});
      extents.push_back({&region, at_, units * unit_});
      at_ += units * unit_;
      left -= units;
      limits_.pages -= units;
    }
    return extents;
  }

 private:
  /// False at the end.
  bool go_to_unit() {
    for (; !regions_.empty(); regions_ = regions_.subspan(1), at_ = 0) {
      const Region& region = regions_.front();
      if (!region.is_stored()) continue;
      if (at_ == 0) at_ = -region.start.value & (unit_ - 1);
      while (at_ < region.size && region.size - at_ >= unit_) {
        if (region.start + at_ > limits_.last) return false;
        const std::uint64_t hole = memory_.hole_at(region, at_) & ~kPageMask;
        if (hole == 0) return true;
        end_if_interrupted();
        at_ += hole;
      }
    }
    return false;
  }

  const Memory& memory_;
  std::span<const Region> regions_;  // that are left
  std::uint64_t unit_;
  PageLimits limits_;     // what is left of them, in units
  std::uint64_t at_ = 0;  // of the first of the regions; 0: its first unit
};

/// Appends the addresses of words in `bytes`, which lie at `at`, that equal `word`.
void find_words(PhysAddr at, Bytes bytes, std::uint32_t word, std::vector<PhysAddr>& found) {
  std::array<std::uint32_t, 32> block;
  for (std::size_t begin = 0; begin < bytes.size(); begin += sizeof block) {
    const Bytes rest = bytes.subspan(begin, std::min(bytes.size() - begin, sizeof block));
    block.fill(~word);
    std::memcpy(block.data(), rest.data(), rest.size());
    // Without an early exit: compiled to vector instructions.
    std::uint32_t hits = 0;
    for (const std::uint32_t candidate : block) hits += candidate == word ? 1U : 0U;
    if (hits == 0) continue;
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (block[i] == word) found.push_back(at + (begin + i * sizeof word));
    }
  }
}

std::vector<PhysAddr> words_of(const std::vector<Extent>& extents, std::uint32_t word) {
  std::vector<PhysAddr> found;
  mapping::BulkVector<std::byte> buffer(kSmallBatch);
  for (const Extent& extent : extents) {
    const Region& region = *extent.region;
    const std::uint64_t end = extent.offset + extent.size;
    for (std::uint64_t offset = extent.offset; offset < end;) {
      const auto room = MutableBytes(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(end - offset, buffer.size())));
      const PhysAddr at = region.start + offset;
      const std::size_t copied = region.backing == Backing::source
                                     ? region.source().read_once(at, room).count
                                     : region.read(RegionOffset(offset), room).count;
      find_words(at, Bytes(room).first(align_down(copied, sizeof word)), word, found);
      offset += copied;
      if (copied < room.size()) {
        offset += std::min(rest_of_page(region, offset), end - offset);
        offset += -(region.start + offset).value % sizeof word;
      }
    }
  }
  return found;
}

}  // namespace

void for_each_chunk(const Memory& memory, PhysAddr first, PhysAddr last, std::size_t overlap,
                    const std::function<bool(PhysAddr, Bytes)>& visit, std::size_t chunk_size) {
  assert(overlap < chunk_size);
  Chunks chunks(chunk_size, overlap, visit);
  const auto regions = memory.regions();
  auto region = std::partition_point(regions.begin(), regions.end(),
                                     [first](const Region& r) { return r.last() < first; });
  const auto end = std::partition_point(region, regions.end(),
                                        [last](const Region& r) { return r.start <= last; });
  const auto is_made = [](const Region& r) { return r.backing == Backing::source; };
  while (region != end) {
    if (is_made(*region)) {
      const auto made_end = std::find_if_not(region, end, is_made);
      if (!visit_made(Batches({region, made_end}, first, last), chunks)) return;
      region = made_end;
      continue;
    }
    if (region->is_stored()) {
      if (!chunks.go_to(std::max(first, region->start))) return;
      if (!visit_region(memory, *region, first, last, chunks)) return;
    }
    ++region;
  }
  chunks.flush();
}

void for_each_stored_page(const Memory& memory, const PageLimits& limits,
                          const std::function<bool(PhysAddr)>& may_be,
                          const std::function<bool(const StoredPage&)>& visit) {
  struct Looked {
    std::vector<StoredPage> found;  // numbered from the first of the batch
    std::uint64_t pages = 0;
  };
  const auto look = [&may_be](const std::vector<Extent>& extents) {
    Looked looked;
    for (const Extent& extent : extents) {
      for (std::uint64_t done = 0; done < extent.size; done += kPageSize, ++looked.pages) {
        const PhysAddr frame = extent.region->start + (extent.offset + done);
        if (may_be(frame)) looked.found.push_back({frame, looked.pages});
      }
    }
    return looked;
  };
  Stored pages(memory, kPageSize, limits);
  std::uint64_t before = 0;
  run_ahead<Looked>([&](std::uint64_t most) { return pages.next(kLooksPerByte * most); }, look,
                    [&](const Looked& looked) {
                      for (const StoredPage& page : looked.found) {
                        if (!visit({page.frame, before + page.number})) return false;
                      }
                      before += looked.pages;
                      return true;
                    });
}

void for_each_word(const Memory& memory, std::uint32_t word,
                   const std::function<bool(PhysAddr)>& visit) {
  Stored words(memory, sizeof word);
  run_ahead<std::vector<PhysAddr>>(
      [&](std::uint64_t most) { return words.next(most); },
      [word](const std::vector<Extent>& extents) { return words_of(extents, word); },
      [&](const std::vector<PhysAddr>& found) {
        return std::all_of(found.begin(), found.end(), visit);
      });
}

}  // namespace engram::guest
