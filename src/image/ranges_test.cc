// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "image/test_images.h"

namespace engram::image {
namespace {

using test::vector_of;
using testing::ElementsAreArray;

/// What a hostile file may declare as well as what a good one does.
std::uint64_t some_number(std::mt19937_64& random) {
  const std::uint64_t number = random() >> random() % 64;
  return random() % 2 == 0 ? number : number * kPageSize;
}

Range some_range(std::mt19937_64& random, const Range& before) {
  Range range;
  range.start = before.start + before.size + (random() % 4 == 0 ? 0 : some_number(random));
  range.size = some_number(random);
  range.offset = before.offset + before.stored + (random() % 2 == 0 ? 0 : some_number(random));
  range.stored = random() % 3 == 0 ? some_number(random) : range.size;
  range.readable = random() % 3 == 0 ? some_number(random) : range.stored;
  range.virtual_address = random() % 3 == 0 ? some_number(random) : 0;
  return range;
}

TEST(RangeList, GivesWhatWentIn) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<Range> twin;
    RangeList list;
    for (std::size_t i = 0; i < random() % 200; ++i) {
      twin.push_back(some_range(random, i == 0 ? Range() : twin.back()));
      list.push_back(twin.back());
      ASSERT_EQ(list.back(), twin.back());
    }
    ASSERT_EQ(list.size(), twin.size());
    ASSERT_EQ(list.empty(), twin.empty());
    ASSERT_THAT(vector_of(list), ElementsAreArray(twin));
    if (!twin.empty()) {
      ASSERT_EQ(list.front(), twin.front());
    }
  }
}

TEST(RangeList, TheLastOneCanBeChanged) {
  const Range first{PhysAddr(0x1000), 0x1000, FileOffset(0x40), 0x1000, 0x1000, 0};
  const Range third{PhysAddr(0x9000), 0x1000, FileOffset(0x3040), 0x1000, 0x1000, 0};
  RangeList list;
  list.push_back(first);
  list.push_back({PhysAddr(0x2000), 0x1000, FileOffset(0x1040), 0x1000, 0x1000, 0});
  list.back().size = list.back().stored = list.back().readable = 0x2000;
  const Range second = list.back();
  list.push_back(third);
  EXPECT_THAT(vector_of(list), testing::ElementsAre(first, second, third));
}

TEST(RangeList, KnowsWhetherOneIsCut) {
  RangeList list;
  EXPECT_FALSE(list.is_cut());
  list.push_back({PhysAddr(0), 0x2000, FileOffset(0), 0x1000, 0x1000, 0});  // declared so
  EXPECT_FALSE(list.is_cut());
  list.push_back({PhysAddr(0x2000), 0x1000, FileOffset(0x1000), 0x1000, 0xfff, 0});
  EXPECT_TRUE(list.is_cut());
  list.back().readable = 0x1000;
  EXPECT_FALSE(list.is_cut());
  list.back().readable = 0;
  list.push_back({PhysAddr(0x3000), 0x1000, FileOffset(0x2000), 0x1000, 0x1000, 0});
  EXPECT_TRUE(list.is_cut());
}

}  // namespace
}  // namespace engram::image
