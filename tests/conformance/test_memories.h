// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memories of the sizes that scenarios give, and walks over their slices.

#include <gtest/gtest.h>

#include <vector>

#include "test_containers.h"

namespace engram::test {

/// Sizes and starts as the scenarios give them.
struct Part {
  std::uint64_t start;
  std::uint64_t size;
};

inline std::vector<Range> ranges_of(const std::vector<Part>& parts) {
  std::vector<Range> ranges;
  for (const Part& part : parts) ranges.push_back(range_of(part.start, part.size));
  return ranges;
}
inline guest::MappedMemory<> anonymous(const std::vector<Part>& parts) {
  return guest::anonymous_memory(ranges_of(parts)).value();
}
inline guest::MappedRegion<> region(std::uint64_t start, std::uint64_t size) {
  return guest::MappedRegion<>::anonymous(range_of(start, size)).value();
}
/// The sizes of the slices, and the error that ends them.
struct Walk {
  std::vector<std::uint64_t> sizes;
  MemoryErrc error = MemoryErrc::none;
  std::uint64_t address = 0;
  bool operator==(const Walk&) const = default;
};
template <class M>
Walk walk_slices(const M& memory, std::uint64_t address, std::uint64_t size) {
  Walk walk;
  for (const auto& slice : memory.slices(PhysAddr(address), size)) {
    EXPECT_EQ(walk.error, MemoryErrc::none) << "an element behind an error";
    if (slice) {
      walk.sizes.push_back(slice->size());
    } else {
      walk.error = slice.error().code;
      walk.address = slice.error().address;
    }
  }
  return walk;
}

}  // namespace engram::test
