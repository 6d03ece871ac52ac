// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/memory.h"

#include <algorithm>
#include <utility>

namespace engram::guest {
namespace {

bool continues(const Region& left, const Region& right) {
  if (left.end() != right.start || left.backing != right.backing) return false;
  switch (left.backing) {
    case Backing::host:
      return left.host() + left.size == right.host();
    case Backing::source:
      return left.host() == right.host();
    case Backing::zero:
    case Backing::unreadable:
      break;
  }
  return true;
}

bool is_region(const Region& region) {
  return region.size != 0 && fits_address_space(region.start, region.size);
}

tl::unexpected<Error> refusal(const Region& region) {
  if (region.size == 0) return fail("guest: region at {:#x} is empty", region.start.value);
  return fail("guest: region at {:#x} of {:#x} bytes: its end exceeds 2^64", region.start.value,
              region.size);
}

Result<Regions> sorted_and_merged(Regions regions) {
  const auto odd = std::find_if_not(regions.begin(), regions.end(), is_region);
  if (odd != regions.end()) return refusal(*odd);
  const auto by_start = [](const Region& a, const Region& b) { return a.start < b.start; };
  if (!std::is_sorted(regions.begin(), regions.end(), by_start)) {
    std::sort(regions.begin(), regions.end(), by_start);
  }
  std::size_t kept = 0;
  for (const Region& region : regions) {
    Region* const last = kept == 0 ? nullptr : &regions[kept - 1];
    if (last != nullptr && last->last() >= region.start) {
      return fail("guest: region [{:#x}, {:#x}] overlaps region [{:#x}, {:#x}]", last->start.value,
                  last->last().value, region.start.value, region.last().value);
    }
    // Two regions that end with 2^64 bytes together would have a size of 0.
    if (last != nullptr && continues(*last, region) && last->size + region.size != 0) {
      last->size += region.size;
    } else {
      regions[kept++] = region;
    }
  }
  regions.resize(kept);
  regions.shrink_to_fit();
  return regions;
}

}  // namespace

const Attributes& Region::attributes() const {
  static const Attributes kStored;
  static const Attributes kZero = [] {
    Attributes attributes;
    attributes.label = "zero";
    return attributes;
  }();
  return backing == Backing::zero ? kZero : kStored;
}

Transfer Region::read(RegionOffset at, MutableBytes to) const {
  if (to.empty()) return {};
  if (at.value >= size) return {0, MemoryErrc::out_of_bounds, 0, at.value};
  const MutableBytes target =
      to.first(static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), size - at.value)));
  Transfer moved{target.size()};
  switch (backing) {
    case Backing::host:
      moved = ConstVolatileSlice(host() + at.value, target.size()).read(0, target);
      break;
    case Backing::zero:
      std::fill(target.begin(), target.end(), std::byte{0});
      break;
    case Backing::unreadable:
      moved = {0, MemoryErrc::source_truncated, 0, 0};
      break;
    case Backing::source:
      moved = source().read(start + at.value, target);
      break;
  }
  if (!moved.complete() || moved.count < target.size()) {
    moved.address = at.value + moved.count;
  } else if (target.size() < to.size()) {
    moved.stop = MemoryErrc::out_of_bounds;
    moved.address = size;
  }
  return moved;
}

MemoryResult<ConstVolatileSlice> Region::view(RegionOffset at, std::uint64_t count) const {
  ENGRAM_CHECK(check_in_region(at, count, size));
  if (backing == Backing::unreadable) return fail_memory(MemoryErrc::source_truncated, at.value);
  if (backing != Backing::host) {
    return fail_memory(MemoryErrc::host_address_unavailable, at.value);
  }
  return ConstVolatileSlice(host() + at.value, static_cast<std::size_t>(count));
}

std::uint64_t Memory::hole_at(const Region& region, std::uint64_t offset) const {
  if (!hole_finder_ || region.backing != Backing::host) return 0;
  return std::min(hole_finder_(region.host() + offset), region.size - offset);
}

const Region* Memory::find_behind(PhysAddr address) const {
  const auto all = regions();
  const auto next =
      std::upper_bound(all.begin(), all.end(), address,
                       [](PhysAddr a, const Region& region) { return a < region.start; });
  return next == all.end() ? nullptr : &*next;
}

Result<Memory> Memory::create(Regions regions, std::shared_ptr<const void> owner) {
  ENGRAM_TRY(regions, sorted_and_merged(std::move(regions)));
  Memory memory;
  for (const Region& region : regions) {
    if (region.backing != Backing::unreadable) memory.present_bytes_ += region.size;
    const std::uint64_t words = region.size < 8 ? 0 : region.size - 7;
    if (region.backing == Backing::host && words > memory.largest_.words) {
      memory.largest_ = {region.start, words, region.host()};
    }
  }
  if (!regions.empty()) {
    auto collection = RegionCollection<Region>::from(std::move(regions));
    if (!collection) return tl::unexpected(mapping::to_error("guest", collection.error()));
    memory.regions_ = *std::move(collection);
  }
  memory.owner_ = std::move(owner);
  return memory;
}

}  // namespace engram::guest
