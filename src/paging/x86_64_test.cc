// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/x86_64.h"

#include <gtest/gtest.h>

#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::kP;
using testing::kRw;
using testing::kUs;
using testing::kXd;
using testing::TestMemory;

constexpr VirtAddr kAddress{0x7ff6'1234'5000};
constexpr PhysAddr kPage{0x40'0000};
constexpr std::uint64_t kProtNone = 1U << 8U, kAccessed = 1U << 5U;
constexpr std::uint64_t kFrame = 0x000f'ffff'ffff'f000;

/// A space in which the page of kAddress has an entry that the processor takes for not present.
class LinuxPaging : public ::testing::TestWithParam<unsigned> {
 protected:
  LinuxPaging() : memory_(64 * kPageSize), root_(memory_.new_table()) {}

  Result<Translation, Fault> translate(std::uint64_t entry, std::uint64_t page_size,
                                       Software software = Software::linux_kernel) {
    memory_.map(root_, GetParam(), kAddress - offset_in(page_size), PhysAddr(0), page_size, entry);
    const guest::Memory memory = memory_.memory();
    return walk(memory, {Architecture::x86_64, GetParam(), software}, root_, kAddress + 0x123);
  }
  static std::uint64_t offset_in(std::uint64_t page_size) { return kAddress.value % page_size; }
  static std::uint64_t inverted(PhysAddr page) { return ~page.value & kFrame; }

  TestMemory memory_;
  PhysAddr root_;
};

TEST_P(LinuxPaging, APageThatNobodyMayTouchIsThereWithoutRights) {
  for (const std::uint64_t size : {kPageSize, 2 * kMiB}) {
    SCOPED_TRACE(size);
    memory_ = TestMemory(64 * kPageSize);
    root_ = memory_.new_table();
    const auto found = translate(inverted(kPage) | kProtNone | kAccessed | kXd, size);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->physical, kPage + offset_in(size) + 0x123);
    EXPECT_EQ(found->page_size, size);
    EXPECT_EQ(found->access, Access{});
  }
}

TEST_P(LinuxPaging, ALargePageIsInvertedAsAWholeOrDownToItsOwnBits) {
  constexpr std::uint64_t kPat = std::uint64_t{1} << 12U;
  constexpr std::uint64_t kBelow = 2 * kMiB - 1;
  for (const std::uint64_t pat : {std::uint64_t{0}, kPat}) {
    for (const std::uint64_t frame : {inverted(kPage), inverted(kPage) & ~kBelow}) {
      SCOPED_TRACE(frame | pat);
      memory_ = TestMemory(64 * kPageSize);
      root_ = memory_.new_table();
      const auto found = translate((frame & ~kPat) | pat | kProtNone | kAccessed, 2 * kMiB);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->physical, kPage + offset_in(2 * kMiB) + 0x123);
      EXPECT_EQ(found->page_size, 2 * kMiB);
    }
  }
}

TEST_P(LinuxPaging, OthersSeeNothingThere) {
  const auto found = translate(inverted(kPage) | kProtNone, kPageSize, Software::any);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, Reason::not_present);
}

TEST_P(LinuxPaging, WhatWasSwappedOutIsNotThere) {
  const auto found = translate(inverted(kPage) | 2, kPageSize);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, Reason::not_present);
}

TEST_P(LinuxPaging, WhatLeadsToATableIsNoPage) {
  memory_.map(root_, GetParam(), kAddress, kPage, kPageSize, kP);
  const PhysAddr last = root_ + (kAddress.value >> (12 + 9 * (GetParam() - 1)) & 511) * 8;
  memory_.put(last, inverted(kPage) | kProtNone);
  const guest::Memory memory = memory_.memory();
  const auto found =
      walk(memory, {Architecture::x86_64, GetParam(), Software::linux_kernel}, root_, kAddress);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().level, GetParam());
  EXPECT_EQ(found.error().reason, Reason::not_present);
}

TEST_P(LinuxPaging, ALargePageOffItsPlaceHasReservedBits) {
  const auto found = translate(inverted(kPage + 4 * kPageSize) | kProtNone, 2 * kMiB);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, Reason::reserved_bits);
}

TEST_P(LinuxPaging, WhatTheProcessorSeesIsAsItSeesIt) {
  const auto found = translate(kPage.value | kP | kRw | kUs | kProtNone, kPageSize);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, kPage + 0x123);
  EXPECT_EQ(found->access, (Access{.writable = true, .executable = true, .user = true}));
}

INSTANTIATE_TEST_SUITE_P(Levels, LinuxPaging, ::testing::Values(4U, 5U));

}  // namespace
}  // namespace engram::paging
