// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/iotlb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>

namespace engram::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr auto kR = Permissions::read;
constexpr auto kW = Permissions::write;
constexpr auto kRw = Permissions::read_write;

Range range(std::uint64_t first, std::uint64_t size) {
  return Range::checked(PhysAddr(first), size);
}

Iotlb::Piece piece(std::uint64_t iova, std::uint64_t target, std::uint64_t size) {
  return {range(iova, size), PhysAddr(target)};
}

std::vector<Iotlb::Piece> pieces(const Iotlb& tlb, Range iova, Permissions access) {
  auto found = tlb.lookup(iova, access);
  if (!found) return {};
  std::vector<Iotlb::Piece> all;
  while (const auto one = found->next()) all.push_back(*one);
  EXPECT_FALSE(found->next()) << "the end is the end";
  return all;
}

void map(Iotlb& tlb, std::uint64_t iova, std::uint64_t target, std::uint64_t size,
         Permissions allowed = kRw) {
  ASSERT_TRUE(tlb.map(PhysAddr(iova), PhysAddr(target), size, allowed));
}

TEST(Iotlb, RefusesRangesThatAreNone) {
  Iotlb tlb;
  const auto code = [](const MemoryResult<void>& result) {
    return result ? MemoryErrc::none : result.error().code;
  };
  EXPECT_EQ(code(tlb.map(PhysAddr(0), PhysAddr(0), 0, kRw)), MemoryErrc::invalid_size);
  EXPECT_EQ(code(tlb.map(PhysAddr(kMax), PhysAddr(0), 2, kRw)), MemoryErrc::range_overflow);
  EXPECT_EQ(code(tlb.map(PhysAddr(0), PhysAddr(kMax), 2, kRw)), MemoryErrc::range_overflow);
  EXPECT_EQ(code(tlb.invalidate(PhysAddr(0), 0)), MemoryErrc::invalid_size);
  EXPECT_EQ(code(tlb.invalidate(PhysAddr(kMax), 2)), MemoryErrc::range_overflow);
  EXPECT_EQ(tlb.entry_count(), 0U);
}

TEST(Iotlb, TargetsThatWrapAreNotOnePiece) {
  Iotlb tlb;
  map(tlb, 0x1000, kMax - 0xFFF, 0x1000);
  map(tlb, 0x2000, 0, 0x1000);
  EXPECT_THAT(pieces(tlb, range(0x1000, 0x2000), kR),
              ElementsAre(piece(0x1000, kMax - 0xFFF, 0x1000), piece(0x2000, 0, 0x1000)));
  map(tlb, 0x1000, kMax - 0xFFF, 0x1000);  // in front of what is there
  EXPECT_EQ(tlb.entry_count(), 2U);
}

TEST(Iotlb, LaterEntriesOverrideEarlierOnes) {
  Iotlb tlb;
  map(tlb, 100, 1000, 100);
  map(tlb, 120, 5000, 10);
  EXPECT_THAT(pieces(tlb, range(100, 100), kR),
              ElementsAre(piece(100, 1000, 20), piece(120, 5000, 10), piece(130, 1030, 70)));
  map(tlb, 0, 9000, 1000);
  EXPECT_EQ(tlb.entry_count(), 1U);
  EXPECT_THAT(pieces(tlb, range(90, 50), kR), ElementsAre(piece(90, 9090, 50)));
}

TEST(Iotlb, MergesOnBothSidesOnlyWhatContinues) {
  Iotlb tlb;
  map(tlb, 0, 1000, 10);
  map(tlb, 20, 1020, 10);
  map(tlb, 10, 1010, 10);
  EXPECT_EQ(tlb.entry_count(), 1U);
  map(tlb, 30, 1030, 10, kR);  // other permissions
  map(tlb, 40, 1041, 10);      // another distance
  EXPECT_EQ(tlb.entry_count(), 3U);
}

TEST(Iotlb, TheLastByteOfTheAddressSpaceIsLikeAnyOther) {
  Iotlb tlb;
  map(tlb, kMax - 9, 0, 10);
  EXPECT_THAT(pieces(tlb, range(kMax, 1), kRw), ElementsAre(piece(kMax, 9, 1)));
  map(tlb, 0, 10, 5);  // its distance continues modulo 2^64: the ends do not meet
  EXPECT_EQ(tlb.entry_count(), 2U);
  map(tlb, 0, 0, kMax - 9);
  map(tlb, kMax - 9, kMax - 9, 10);
  EXPECT_EQ(tlb.entry_count(), 1U) << "all 2^64 bytes";
  EXPECT_THAT(pieces(tlb, range(1, kMax), kR), ElementsAre(piece(1, 1, kMax)));
  ASSERT_TRUE(tlb.invalidate(PhysAddr(kMax), 1));
  EXPECT_THAT(tlb.lookup(range(kMax - 1, 2), kR).error().missing, ElementsAre(range(kMax, 1)));
}

TEST(Iotlb, ObstaclesAreClippedToTheQuery) {
  Iotlb tlb;
  map(tlb, 0, 0, 10, kR);
  map(tlb, 20, 0, 10, kW);
  const auto found = tlb.lookup(range(5, 100), kRw);
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().missing, ElementsAre(range(10, 10), range(30, 75)));
  EXPECT_THAT(found.error().refused, ElementsAre(range(5, 5), range(20, 10)));
}

TEST(Iotlb, AFullTableRefusesEntriesButNoInvalidation) {
  Iotlb tlb(2);
  map(tlb, 0, 1000, 100);
  map(tlb, 200, 5000, 100);
  const auto refused = tlb.map(PhysAddr(400), PhysAddr(0), 1, kR);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, MemoryErrc::too_big);
  ASSERT_TRUE(tlb.invalidate(PhysAddr(10), 5));
  EXPECT_EQ(tlb.entry_count(), 2U);
  EXPECT_THAT(pieces(tlb, range(0, 10), kR), ElementsAre(piece(0, 1000, 10)));
  EXPECT_THAT(tlb.lookup(range(0, 100), kR).error().missing, ElementsAre(range(10, 90)));
}

/// The slow twin: one entry a byte.
TEST(Iotlb, AgreesWithATableOfBytes) {
  constexpr std::uint64_t kSpace = 64;
  struct Byte {
    bool present = false;
    std::uint64_t target = 0;
    Permissions allowed = Permissions::none;
  };
  std::array<Byte, kSpace> bytes;
  Iotlb tlb;
  std::mt19937_64 random(42);
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  for (int round = 0; round < 20000; ++round) {
    const std::uint64_t first = below(kSpace), size = 1 + below(kSpace - first);
    const auto access = static_cast<Permissions>(below(4));
    if (below(3) == 0) {
      ASSERT_TRUE(tlb.invalidate(PhysAddr(first), size));
      for (std::uint64_t i = first; i < first + size; ++i) bytes[i] = {};
    } else {
      const std::uint64_t target = first + below(3) * 100;
      map(tlb, first, target, size, access);
      for (std::uint64_t i = 0; i < size; ++i) bytes[first + i] = {true, target + i, access};
    }
    const std::uint64_t from = below(kSpace), count = 1 + below(kSpace - from);
    const auto wanted = static_cast<Permissions>(below(4));
    std::vector<std::uint64_t> targets, missing, refused;
    for (std::uint64_t i = from; i < from + count; ++i) {
      targets.push_back(bytes[i].target);
      if (!bytes[i].present) missing.push_back(i);
      if (bytes[i].present && !allows(bytes[i].allowed, wanted)) refused.push_back(i);
    }
    const auto each = [](const std::vector<Range>& ranges) {
      std::vector<std::uint64_t> all;
      for (const Range& one : ranges) {
        for (std::uint64_t i = 0; i < one.size(); ++i) all.push_back(one.first().value + i);
      }
      return all;
    };
    const auto found = tlb.lookup(range(from, count), wanted);
    ASSERT_EQ(found.has_value(), missing.empty() && refused.empty());
    if (!found) {
      ASSERT_EQ(each(found.error().missing), missing);
      ASSERT_EQ(each(found.error().refused), refused);
      continue;
    }
    std::vector<std::uint64_t> translated;
    for (const Iotlb::Piece& one : pieces(tlb, range(from, count), wanted)) {
      ASSERT_EQ(one.iova.first().value, from + translated.size());
      for (std::uint64_t i = 0; i < one.iova.size(); ++i) {
        translated.push_back(one.target.value + i);
      }
    }
    ASSERT_EQ(translated, targets);
  }
}

}  // namespace
}  // namespace engram::guest
