// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/memory.h"

#include <algorithm>
#include <utility>

namespace engram::guest {
namespace {

bool continues(const Region& left, const Region& right) {
  if (left.end() != right.start || left.backing != right.backing) return false;
  return left.backing != Backing::host || left.host + left.size == right.host;
}

Result<void> check(const Region& region) {
  if (region.size == 0) return fail("guest: region at {:#x} is empty", region.start.value);
  if (!checked_add(region.start.value, region.size - 1)) {
    return fail("guest: region at {:#x} of {:#x} bytes: its end exceeds 2^64", region.start.value,
                region.size);
  }
  return {};
}

}  // namespace

Result<Memory> Memory::create(std::vector<Region> regions, std::shared_ptr<const void> owner) {
  for (const Region& region : regions) ENGRAM_CHECK(check(region));
  const auto by_start = [](const Region& a, const Region& b) { return a.start < b.start; };
  if (!std::is_sorted(regions.begin(), regions.end(), by_start)) {
    std::sort(regions.begin(), regions.end(), by_start);
  }

  Memory memory;
  for (const Region& region : regions) {
    if (!memory.regions_.empty()) {
      Region& last = memory.regions_.back();
      if (last.last() >= region.start) {
        return fail("guest: region [{:#x}, {:#x}] overlaps region [{:#x}, {:#x}]", last.start.value,
                    last.last().value, region.start.value, region.last().value);
      }
      if (continues(last, region)) {
        last.size += region.size;
        continue;
      }
    }
    memory.regions_.push_back(region);
  }
  for (const Region& region : memory.regions_) {
    if (region.backing != Backing::unreadable) memory.present_bytes_ += region.size;
    const std::uint64_t words = region.size < 8 ? 0 : region.size - 7;
    if (region.backing == Backing::host && words > memory.largest_.words) {
      memory.largest_ = {region.start, words, region.host};
    }
  }
  memory.owner_ = std::move(owner);
  return memory;
}

const Region* Memory::find(PhysAddr address) const {
  if (regions_.empty()) return nullptr;
  const Region* at = regions_.data();
  for (std::size_t count = regions_.size(); count > 1;) {
    const std::size_t half = count / 2;
    at = at[half].start <= address ? at + half : at;  // a conditional move, not a branch
    count -= half;
  }
  // An address below the start wraps to a huge offset: one comparison for both ends.
  return address - at->start < at->size ? at : nullptr;
}

ReadOutcome Memory::read(PhysAddr from, MutableBytes to) const {
  if (to.empty()) return {};
  const Region* region = find(from);
  if (region == nullptr) return {0, Stop::absent};

  const Region* const last = regions_.data() + regions_.size() - 1;
  std::size_t done = 0;
  while (true) {
    const std::uint64_t offset = from + done - region->start;
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(region->size - offset, to.size() - done));
    const MutableBytes target = to.subspan(done, count);
    switch (region->backing) {
      case Backing::host: {
        const std::size_t copied = mapping::guarded_copy(target, {region->host + offset, count});
        if (copied < count) return {done + copied, Stop::unreadable};
        break;
      }
      case Backing::zero:
        std::fill(target.begin(), target.end(), std::byte{0});
        break;
      case Backing::unreadable:
        return {done, Stop::unreadable};
    }
    done += count;
    if (done == to.size()) return {done, Stop::none};
    if (region == last || region->end() != region[1].start) return {done, Stop::absent};
    ++region;
  }
}

}  // namespace engram::guest
