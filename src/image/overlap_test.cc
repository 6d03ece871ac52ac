// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/overlap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace engram::image {
namespace {

using guest::Backing;
using guest::Region;
using guest::Regions;

constexpr std::size_t kSpace = 400;

/// What serves an address.
struct Cell {
  Backing backing = Backing::host;
  const std::byte* host = nullptr;
  bool used = false;
  bool operator==(const Cell&) const = default;
};

/// The slow and obvious twin: whoever comes first takes the cell.
std::vector<Cell> cells_of(const Regions& regions) {
  std::vector<Cell> cells(kSpace);
  for (const Region& region : regions) {
    for (std::uint64_t i = 0; i < region.size; ++i) {
      Cell& cell = cells[region.start.value + i];
      if (cell.used) continue;
      cell = {region.backing, region.backing == Backing::host ? region.host() + i : nullptr, true};
    }
  }
  return cells;
}

TEST(WithoutOverlap, AgreesWithItsSlowTwin) {
  const std::vector<std::byte> bytes(2 * kSpace);
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    Regions regions;
    const std::size_t count = random() % 20;
    const std::size_t largest = 1 + random() % 200;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t start = random() % kSpace;
      const std::uint64_t size = std::min(1 + random() % largest, kSpace - start);
      const auto backing = static_cast<Backing>(random() % 3);
      regions.push_back({PhysAddr(start), size, backing,
                         backing == Backing::host ? bytes.data() + random() % kSpace : nullptr});
    }
    const auto result = without_overlap(regions);
    ASSERT_EQ(cells_of(result), cells_of(regions));
    ASSERT_LE(result.size(), 2 * regions.size());
    for (std::size_t i = 1; i < result.size(); ++i) {
      ASSERT_LT(result[i - 1].last(), result[i].start);
    }
  }
}

TEST(WithoutOverlap, ReachesTheEndOfTheAddressSpace) {
  const std::uint64_t top = 0 - std::uint64_t{0x2000};
  const auto result = without_overlap({{PhysAddr(top + 0x1000), 0x1000, Backing::zero, nullptr},
                                       {PhysAddr(top), 0x2000, Backing::unreadable, nullptr},
                                       {PhysAddr(0), top + 0x800, Backing::zero, nullptr}});
  ASSERT_EQ(result.size(), 3U);
  EXPECT_EQ(result[1].start.value, top);
  EXPECT_EQ(result[1].size, 0x1000U);
  EXPECT_EQ(result[2].last().value, ~0ULL);
}

}  // namespace
}  // namespace engram::image
