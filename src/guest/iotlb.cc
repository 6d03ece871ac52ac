// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/iotlb.h"

#include <algorithm>
#include <iterator>

namespace engram::guest {

Iotlb::Entries::const_iterator Iotlb::first_that_ends_at_or_after(std::uint64_t iova) const {
  const auto behind = entries_.upper_bound(iova);
  if (behind == entries_.begin()) return behind;
  const auto before = std::prev(behind);
  return before->second.last >= iova ? before : behind;
}

MemoryResult<void> Iotlb::map(PhysAddr iova, PhysAddr target, std::uint64_t size,
                              Permissions allowed) {
  ENGRAM_TRY(const Range from, Range::make(iova, size));
  ENGRAM_CHECK(Range::make(target, size));
  if (entries_.size() >= max_entries_) return fail_memory(MemoryErrc::too_big, 0, max_entries_);
  cut_out(from);
  insert_merged(from.first().value, {from.last().value, target - iova, allowed});
  return {};
}

MemoryResult<void> Iotlb::invalidate(PhysAddr iova, std::uint64_t size) {
  ENGRAM_TRY(const Range range, Range::make(iova, size));
  cut_out(range);
  return {};
}

void Iotlb::cut_out(Range range) {
  const std::uint64_t first = range.first().value, last = range.last().value;
  const auto found = first_that_ends_at_or_after(first);
  auto entry = entries_.erase(found, found);  // the same place, as one that can be changed
  while (entry != entries_.end() && entry->first <= last) {
    const Entry whole = entry->second;
    // Without room for the part behind a hole it is forgotten, too: a miss brings it back.
    if (whole.last > last && entries_.size() < max_entries_) {
      entries_.emplace(last + 1, whole);
    }
    if (entry->first < first) {
      entry->second.last = first - 1;
      ++entry;
    } else {
      entry = entries_.erase(entry);
    }
  }
}

void Iotlb::insert_merged(std::uint64_t first, Entry entry) {
  const auto continues = [](const Entry& before, std::uint64_t next, const Entry& behind) {
    // Targets that go on at 0 behind the last address are not one piece of memory.
    return before.last + 1 == next && before.delta == behind.delta &&
           before.allowed == behind.allowed && next + before.delta != 0;
  };
  const auto behind = entries_.upper_bound(first);
  if (behind != entries_.end() && continues(entry, behind->first, behind->second)) {
    entry.last = behind->second.last;
    entries_.erase(behind);
  }
  const auto at = entries_.lower_bound(first);
  if (at != entries_.begin() && continues(std::prev(at)->second, first, entry)) {
    std::prev(at)->second.last = entry.last;
  } else {
    entries_.emplace_hint(at, first, entry);
  }
}

Result<Iotlb::Pieces, Iotlb::Obstacles> Iotlb::lookup(Range iova, Permissions access) const {
  const auto start = first_that_ends_at_or_after(iova.first().value);
  std::uint64_t next = iova.first().value;
  for (auto entry = start; entry != entries_.end(); ++entry) {
    if (entry->first > next || !allows(entry->second.allowed, access)) break;
    if (entry->second.last >= iova.last().value) return Pieces(start, iova);
    next = entry->second.last + 1;
  }
  return tl::unexpected(obstacles(iova, access));
}

Iotlb::Obstacles Iotlb::obstacles(Range iova, Permissions access) const {
  Obstacles found;
  const std::uint64_t last = iova.last().value;
  const auto clipped = [](std::uint64_t from, std::uint64_t to) {
    return Range::checked(PhysAddr(from), to - from + 1);
  };
  std::uint64_t next = iova.first().value;
  for (auto entry = first_that_ends_at_or_after(next);
       entry != entries_.end() && entry->first <= last; ++entry) {
    if (entry->first > next) found.missing.push_back(clipped(next, entry->first - 1));
    const std::uint64_t from = std::max(next, entry->first);
    const std::uint64_t to = std::min(last, entry->second.last);
    if (!allows(entry->second.allowed, access)) found.refused.push_back(clipped(from, to));
    if (to == last) return found;
    next = to + 1;
  }
  found.missing.push_back(clipped(next, last));
  return found;
}

}  // namespace engram::guest
