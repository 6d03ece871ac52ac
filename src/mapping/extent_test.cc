// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/extent.h"

#include <gtest/gtest.h>

#include <bitset>
#include <random>

namespace engram::mapping {
namespace {

TEST(Extent, ChecksEveryEnd) {
  EXPECT_TRUE((Extent{0, 10}.check(10)));
  EXPECT_TRUE((Extent{10, 0}.check(10)));
  EXPECT_EQ((Extent{10, 1}.check(10).error().address), 11u);
  EXPECT_EQ((Extent{UINT64_MAX, 1}.check(10).error().code), MemoryErrc::range_overflow);
}

TEST(Extent, RoundsOutward) {
  EXPECT_EQ((Extent{4095, 2}.rounded_out(4096)), (Extent{0, 8192}));
  EXPECT_EQ((Extent{4096, 4096}.rounded_out(4096)), (Extent{4096, 4096}));
}

constexpr std::size_t kBits = 64;
using Reference = std::bitset<kBits>;

Reference bits_of(const ExtentSet& set) {
  Reference bits;
  std::uint64_t last_end = 0;
  for (const Extent& extent : set.extents()) {
    // Disjoint, in order, and never two where one would do.
    EXPECT_TRUE(bits.none() || extent.offset > last_end);
    EXPECT_GT(extent.size, 0u);
    for (std::uint64_t bit = extent.offset; bit < extent.end(); ++bit) bits.set(bit);
    last_end = extent.end();
  }
  return bits;
}

TEST(ExtentSet, AgreesWithABitmap) {
  std::mt19937 random(3);
  ExtentSet set;
  Reference bits;
  for (int round = 0; round < 20000; ++round) {
    const std::uint64_t offset = random() % kBits;
    const Extent extent{offset, random() % (kBits - offset + 1)};
    Reference mask;
    for (std::uint64_t bit = offset; bit < extent.end(); ++bit) mask.set(bit);
    switch (random() % 4) {
      case 0:
        set.insert(extent);
        bits |= mask;
        break;
      case 1:
        set.erase(extent);
        bits &= ~mask;
        break;
      case 2: {
        const ExtentSet rest = set.split_off(offset);
        ASSERT_EQ(bits_of(rest), bits >> offset);
        set.append(rest, offset);
        break;
      }
      default:
        ASSERT_EQ(set.contains(extent), (bits & mask) == mask);
        std::uint64_t common = 0;
        for (const Extent& part : set.within(extent)) common += part.size;
        ASSERT_EQ(common, (bits & mask).count());
    }
    ASSERT_EQ(bits_of(set), bits) << round;
  }
}

}  // namespace
}  // namespace engram::mapping
