// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// find_root() and the masking of root registers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "paging/address_space.h"
#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::kP;
using testing::TestMemory;

constexpr Mode kFourLevels{Architecture::x86_64, 4};
constexpr VirtAddr kKnown(0xffff'ffff'8100'0000);
constexpr PhysAddr kPhysical(0x100'0000);

class FindRoot : public ::testing::Test {
 protected:
  FindRoot() {
    for (const PhysAddr root : {first_, second_}) {
      bytes_.map(root, 4, kKnown, kPhysical, 2 * kMiB, kP);
    }
    bytes_.map(elsewhere_, 4, kKnown, kPhysical + 2 * kMiB, 2 * kMiB, kP);
    bytes_.map(small_, 4, kKnown, kPhysical, kPageSize, kP);
  }

  static std::vector<PhysAddr> all(const guest::Memory& memory, PhysAddr physical = kPhysical) {
    std::vector<PhysAddr> roots;
    EXPECT_FALSE(find_root(memory, kFourLevels, kKnown, physical, [&](PhysAddr root) {
      roots.push_back(root);
      return false;
    }));
    return roots;
  }

  TestMemory bytes_{64 * kPageSize};
  PhysAddr first_ = bytes_.new_table();
  PhysAddr elsewhere_ = bytes_.new_table();
  PhysAddr small_ = bytes_.new_table();
  PhysAddr second_ = bytes_.new_table();
};

TEST_F(FindRoot, TriesEveryFrameInOrder) {
  EXPECT_THAT(all(bytes_.memory()), ::testing::ElementsAre(first_, small_, second_));
  EXPECT_THAT(all(bytes_.memory(), kPhysical + 2 * kMiB), ::testing::ElementsAre(elsewhere_));
  EXPECT_THAT(all(bytes_.memory(), kPhysical + kPageSize), ::testing::IsEmpty());
}

TEST_F(FindRoot, ReturnsTheOneThatIsAccepted) {
  unsigned asked = 0;
  EXPECT_EQ(find_root(bytes_.memory(), kFourLevels, kKnown, kPhysical,
                      [&](PhysAddr root) { return ++asked, root == small_; }),
            small_);
  EXPECT_EQ(asked, 2U);
}

TEST_F(FindRoot, LooksInEveryRegionAndOnlyAtWholeFrames) {
  // A region that begins between two frames, and one that the image does not have the bytes of.
  const guest::Memory memory =
      bytes_.memory({{first_ + 1, 10},
                     {first_ + 64, 2 * kPageSize},
                     {PhysAddr(kGiB), kGiB, guest::Backing::unreadable, nullptr},
                     {PhysAddr(2 * kGiB), 1ULL << 50U, guest::Backing::zero, nullptr},
                     {small_ + 64, 60 * kPageSize - small_.value}});
  EXPECT_THAT(all(memory), ::testing::ElementsAre(small_, second_));
}

TEST_F(FindRoot, FindsNothingForAnAddressThatIsNotCanonical) {
  EXPECT_FALSE(find_root(bytes_.memory(), kFourLevels, VirtAddr(1ULL << 50U), PhysAddr(0),
                         [](PhysAddr) { return true; }));
}

TEST_F(FindRoot, RootsAreMasked) {
  // CR3 with a PCID, LAM bits and the no-flush bit.
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space(memory, kFourLevels, PhysAddr(first_.value | 0xe000'0000'0000'0fff));
  EXPECT_EQ(space.root(), first_);
  EXPECT_EQ(space.translate(kKnown + 5).value().physical, kPhysical + 5);
}

}  // namespace
}  // namespace engram::paging
