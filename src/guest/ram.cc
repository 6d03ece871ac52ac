// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/ram.h"

#include <limits>

#include "base/bytes.h"

namespace engram::guest::detail {

MemoryResult<std::uint64_t> shared_ram_size(const std::vector<Range>& ranges) {
  if (ranges.empty()) return fail_memory(MemoryErrc::no_region);
  std::uint64_t sum = 0;
  for (const Range range : ranges) {
    if (range.size() % kPageSize != 0) {
      return fail_memory(MemoryErrc::not_page_aligned, range.size(), kPageSize);
    }
    const auto next = checked_add(sum, range.size());
    if (!next || *next > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail_memory(MemoryErrc::too_big, range.first().value, ranges.size(), range.size());
    }
    sum = *next;
  }
  return sum;
}

}  // namespace engram::guest::detail
