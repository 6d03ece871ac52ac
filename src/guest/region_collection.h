// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A set of regions, sorted by address, that never changes: what is added or taken away makes a new
// set, and both share the regions that they have in common.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "guest/access.h"
#include "guest/range.h"
#include "guest/region.h"
#include "guest/start_index.h"
#include "mapping/bulk.h"

namespace engram::guest {
namespace detail {

/// The walk over the regions of a sorted array; see access.h.
template <ReadableRegion R>
class RegionPieces {
 public:
  /// `region` is the one that has `address`, or `end`.
  RegionPieces(const R* region, const R* end, PhysAddr address, std::uint64_t size,
               Permissions access)
      : region_(region), end_(end), address_(address), left_(size), access_(access) {
    if (fits_address_space(address, size)) return;
    left_ = 0 - address.value;
    beyond_ = size - left_;
  }

  Piece<R> next() {
    if (left_ != 0 && region_ != end_) [[likely]] {
      const Range range = region_->range();
      const std::uint64_t offset = address_ - range.first();
      if (offset < range.size()) {
        if (has_write(access_) && !allows_write(*region_)) [[unlikely]]
          return refused();
        const std::uint64_t size = std::min(left_, range.size() - offset);
        left_ -= size;
        address_ = address_ + size;
        return {region_++, RegionOffset(offset), size};
      }
    }
    if (left_ != 0) {
      error_.code = MemoryErrc::invalid_guest_address;
      error_.address = address_.value;
    } else if (beyond_ != 0) {
      error_.code = MemoryErrc::range_overflow;
      error_.address = std::numeric_limits<std::uint64_t>::max();
      error_.expected = beyond_ + 1;
    }
    region_ = end_;
    return {};
  }
  [[nodiscard]] const MemoryError& error() const { return error_; }

 private:
  [[gnu::cold]] Piece<R> refused() {
    error_.code = MemoryErrc::access_refused;
    error_.address = address_.value;
    left_ = beyond_ = 0;
    region_ = end_;
    return {};
  }

  const R* region_;
  const R* end_;
  PhysAddr address_;
  std::uint64_t left_;  // bytes up to the end of the range or of the address space
  Permissions access_;
  std::uint64_t beyond_ = 0;  // bytes of the range behind the end of the address space
  MemoryError error_;
};

}  // namespace detail

/// Immutable, and safe to share between threads. A copy costs one reference count.
template <ReadableRegion R>
class RegionCollection : public MemoryAccess<RegionCollection<R>, R> {
 public:
  using RegionType = R;
  /// Of a million regions: in huge pages, if they are plain data.
  using List =
      std::conditional_t<std::is_trivially_copyable_v<R>, mapping::BulkVector<R>, std::vector<R>>;

  /// No regions.
  RegionCollection() = default;
  RegionCollection(const RegionCollection&) = default;
  RegionCollection& operator=(const RegionCollection&) = default;
  /// What was moved from has no regions.
  RegionCollection(RegionCollection&& other) noexcept
      : state_(std::move(other.state_)),
        regions_(std::exchange(other.regions_, nullptr)),
        index_(std::exchange(other.index_, {})),
        count_(std::exchange(other.count_, 0)) {}
  RegionCollection& operator=(RegionCollection&& other) noexcept {
    RegionCollection moved(std::move(other));
    std::swap(state_, moved.state_);
    std::swap(regions_, moved.regions_);
    std::swap(index_, moved.index_);
    std::swap(count_, moved.count_);
    return *this;
  }
  ~RegionCollection() = default;

  /// Regions in ascending order. Errors: no_region of an empty list; unsorted{start} of a region
  /// that starts before the one in front of it; overlap{start} of one that starts inside it.
  static MemoryResult<RegionCollection> from(List regions) {
    if (regions.empty()) return fail_memory(MemoryErrc::no_region);
    for (std::size_t i = 1; i < regions.size(); ++i) {
      const Range before = regions[i - 1].range();
      const PhysAddr start = regions[i].range().first();
      if (start < before.first()) return fail_memory(MemoryErrc::unsorted, start.value);
      if (start <= before.last()) return fail_memory(MemoryErrc::overlap, start.value);
    }
    return RegionCollection(std::move(regions));
  }
  /// The same for regions in any order. Errors: no_region, overlap.
  static MemoryResult<RegionCollection> from_unsorted(List regions) {
    const auto by_start = [](const R& a, const R& b) {
      return a.range().first() < b.range().first();
    };
    if (!std::is_sorted(regions.begin(), regions.end(), by_start)) {
      std::stable_sort(regions.begin(), regions.end(), by_start);
    }
    return from(std::move(regions));
  }

  /// Errors: overlap.
  [[nodiscard]] MemoryResult<RegionCollection> insert(R region) const {
    List all(begin(), end());
    all.push_back(std::move(region));
    return from_unsorted(std::move(all));
  }

  struct Removed;
  /// Takes away the region with exactly this start and size; the set that is left may be empty.
  /// Errors: no_region.
  [[nodiscard]] MemoryResult<Removed> remove(PhysAddr start, std::uint64_t size) const {
    const R* const found = find(start);
    if (found == nullptr || found->range().first() != start || found->range().size() != size) {
      return fail_memory(MemoryErrc::no_region, start.value, size);
    }
    List left(begin(), found);
    left.insert(left.end(), found + 1, end());
    return Removed{RegionCollection(std::move(left)), *found};
  }

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::span<const R> regions() const { return {regions_, count_}; }
  [[nodiscard]] const R* begin() const { return regions_; }
  [[nodiscard]] const R* end() const { return regions_ + count_; }

  /// The region that has `address`, or null; valid as long as a copy of this set.
  [[nodiscard]] const R* find(PhysAddr address) const {
    if (count_ == 0) return nullptr;
    const R* const at = last_not_above(address);
    return at->range().contains(address) ? at : nullptr;
  }

  /// The memory without a translation in front of it: this one.
  [[nodiscard]] const RegionCollection* physical_memory() const { return this; }

  /// The last address of the last region; nothing without regions.
  [[nodiscard]] std::optional<PhysAddr> last_address() const {
    return empty() ? std::nullopt : std::optional(end()[-1].range().last());
  }
  [[nodiscard]] bool in_range(PhysAddr address) const { return find(address) != nullptr; }
  /// `address` itself if a region has it.
  [[nodiscard]] std::optional<PhysAddr> check_address(PhysAddr address) const {
    return in_range(address) ? std::optional(address) : std::nullopt;
  }
  /// base + distance if a region has it; there may be holes on the way.
  [[nodiscard]] std::optional<PhysAddr> checked_offset(PhysAddr base,
                                                       std::uint64_t distance) const {
    const auto sum = base.checked_add(distance);
    return sum ? check_address(*sum) : std::nullopt;
  }
  /// Whether a region has any address of the range.
  [[nodiscard]] bool overlaps(Range range) const {
    return !empty() && last_not_above(range.last())->range().overlaps(range);
  }
  /// Bytes of all regions; 2^64 - 1 if they are one more.
  [[nodiscard]] std::uint64_t total_size() const {
    std::uint64_t sum = 0;
    for (const R& region : regions()) {
      sum = checked_add(sum, region.range().size())
                .value_or(std::numeric_limits<std::uint64_t>::max());
    }
    return sum;
  }

  /// The file behind an address and where in it, for those who map it themselves. Errors:
  /// invalid_guest_address; unsupported if there is none.
  [[nodiscard]] MemoryResult<FileRef> backing(PhysAddr address) const {
    const R* const region = find(address);
    if (region == nullptr) return fail_memory(MemoryErrc::invalid_guest_address, address.value);
    const Attributes& attributes = region->attributes();
    if (!attributes.backing) return fail_memory(MemoryErrc::unsupported, address.value);
    const std::uint64_t offset = address - region->range().first();
    return FileRef{attributes.backing->file, attributes.backing->offset + offset};
  }
  /// Later reads of the range give zeros, and its memory goes back to the host. Errors:
  /// invalid_guest_address, and nothing is discarded; those of the regions.
  [[nodiscard]] MemoryResult<void> discard(PhysAddr address, std::uint64_t size) const requires
      requires(const R& region) {
    region.discard(RegionOffset(), size);
  }
  {
    auto whole = pieces(address, size, Permissions::none);
    while (whole.next().region != nullptr) {
    }
    if (whole.error().code != MemoryErrc::none) {
      return tl::unexpected<MemoryError>(whole.error());
    }
    auto cursor = pieces(address, size, Permissions::none);
    while (true) {
      const Piece<R> piece = cursor.next();
      if (piece.region == nullptr) return {};
      ENGRAM_CHECK(piece.region->discard(piece.offset, piece.size));
    }
  }

  /// For MemoryAccess. Everything can be read; what refuses writes is a region of its own kind.
  [[nodiscard]] detail::RegionPieces<R> pieces(PhysAddr address, std::uint64_t size,
                                               Permissions access) const {
    const R* const found = size == 0 ? nullptr : find(address);
    return {found == nullptr ? end() : found, end(), address, size, access};
  }

 private:
  static constexpr std::size_t kPerCacheLine = std::max<std::size_t>(64 / sizeof(R), 1);

  struct State {
    List regions;
    detail::StartIndex index;
  };

  explicit RegionCollection(List regions) {
    const auto start_of = [&regions](std::size_t i) { return regions[i].range().first().value; };
    detail::StartIndex index(regions.size(), start_of);
    const auto shared = std::make_shared<const State>(State{std::move(regions), std::move(index)});
    regions_ = shared->regions.data();
    index_ = shared->index.view();
    count_ = shared->regions.size();
    state_ = shared;
  }

  /// The last region that does not start above `address`, or the first; of a set that is not empty.
  [[nodiscard]] const R* last_not_above(PhysAddr address) const {
    const R* first = regions_;
    std::size_t count = count_;
    if (count > detail::StartIndex::kBlock) {
      const auto near = index_.around(address.value, count);
      first += near.first;
      count = near.count;
      // The search below would wait for one cache line after the other.
      for (std::size_t i = 0; i < count; i += kPerCacheLine) __builtin_prefetch(first + i);
    }
    return first + detail::last_not_above(count, address.value, [first](std::size_t i) {
             return first[i].range().first().value;
           });
  }

  std::shared_ptr<const State> state_;
  // Of *state_, to be reached without it.
  const R* regions_ = nullptr;
  detail::StartIndex::View index_;
  std::size_t count_ = 0;
};

template <ReadableRegion R>
struct RegionCollection<R>::Removed {
  RegionCollection collection;
  R region;
};

}  // namespace engram::guest
