// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Guest addresses as values.

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "guest/range.h"

namespace engram::test {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

TEST(VT01, AddressesKeepTheirValue) {
  EXPECT_EQ(PhysAddr(0).value, 0U);
  EXPECT_EQ(PhysAddr(kMax).value, kMax);
  EXPECT_EQ(PhysAddr(0x300), PhysAddr(0x300));
  EXPECT_LT(PhysAddr(0x300), PhysAddr(0x301));
  EXPECT_EQ(PhysAddr(), PhysAddr(0));
}

TEST(VT02, OffsetFromABase) {
  EXPECT_EQ(PhysAddr(0x150).checked_offset_from(PhysAddr(0x100)), 0x50U);
  EXPECT_EQ(PhysAddr(0x100).checked_offset_from(PhysAddr(0x150)), std::nullopt);
}

TEST(VT03, AlignUp) {
  EXPECT_EQ(PhysAddr(0x128).checked_align_up(8), PhysAddr(0x128));
  EXPECT_EQ(PhysAddr(0x128).checked_align_up(16), PhysAddr(0x130));
  EXPECT_EQ(PhysAddr(kMax - 0x3fff).checked_align_up(0x10000), std::nullopt);
#ifndef NDEBUG
  EXPECT_DEATH((void)PhysAddr(0x128).checked_align_up(12), "");
#endif
}

TEST(VT04, MasksAndBits) {
  EXPECT_EQ(PhysAddr(0x5050) & 0xff00, PhysAddr(0x5000));
  EXPECT_EQ(PhysAddr(0x5050).mask(0xff00), 0x5000U);
  EXPECT_EQ(PhysAddr(0x5050) | 5, PhysAddr(0x5055));
  EXPECT_EQ(PhysAddr(0xff0) & 0xf00f, PhysAddr(0));
  EXPECT_EQ(PhysAddr(0xff0) | 0xf00f, PhysAddr(0xffff));
}

void expect_sum(std::uint64_t a, std::uint64_t b, std::uint64_t sum, bool wraps) {
  const auto wrapped = PhysAddr(a).overflowing_add(b);
  EXPECT_EQ(wrapped.address, PhysAddr(sum));
  EXPECT_EQ(wrapped.wrapped, wraps);
  EXPECT_EQ(PhysAddr(a).checked_add(b), wraps ? std::nullopt : std::optional(PhysAddr(sum)));
  if (wraps) return;
  EXPECT_EQ(PhysAddr(a).unchecked_add(b), PhysAddr(sum));
}
void expect_difference(std::uint64_t a, std::uint64_t b, std::uint64_t difference, bool wraps) {
  const auto wrapped = PhysAddr(a).overflowing_sub(b);
  EXPECT_EQ(wrapped.address, PhysAddr(difference));
  EXPECT_EQ(wrapped.wrapped, wraps);
  EXPECT_EQ(PhysAddr(a).checked_sub(b), wraps ? std::nullopt : std::optional(PhysAddr(difference)));
  EXPECT_EQ(PhysAddr(a).checked_offset_from(PhysAddr(b)),
            wraps ? std::nullopt : std::optional(difference));
  if (wraps) return;
  EXPECT_EQ(PhysAddr(a).unchecked_sub(b), PhysAddr(difference));
}

TEST(VT05, SumsAndDifferences) {
  expect_sum(10, 10, 20, false);
  expect_sum(kMax - 1, 1, kMax, false);
  expect_sum(kMax, 1, 0, true);
  expect_difference(20, 10, 10, false);
  expect_difference(1, 1, 0, false);
  expect_difference(0, 1, kMax, true);
#ifndef NDEBUG
  EXPECT_DEATH((void)PhysAddr(kMax).unchecked_add(1), "");
  EXPECT_DEATH((void)PhysAddr(0).unchecked_sub(1), "");
#endif
}

TEST(XT15, AlignmentOfAddresses) {
  using guest::aligned_down;
  using guest::aligned_up;
  const std::vector<std::array<std::uint64_t, 4>> cases = {
      // address, alignment, up, down
      {12345, 0, 12345, 12345}, {12345, 1, 12345, 12345}, {12345, 2, 12346, 12344},
      {0, 4096, 0, 0},          {1, 4096, 4096, 0},       {4095, 4096, 4096, 0},
      {4096, 4096, 4096, 4096}, {4097, 4096, 8192, 4096}};
  for (const auto& [address, alignment, up, down] : cases) {
    EXPECT_EQ(aligned_up(PhysAddr(address), alignment), PhysAddr(up));
    EXPECT_EQ(aligned_down(PhysAddr(address), alignment), PhysAddr(down));
  }
  const PhysAddr top_page(kMax - 4095);
  EXPECT_EQ(aligned_up(top_page, 4096), top_page);
  EXPECT_EQ(aligned_up(PhysAddr(kMax), 2), std::nullopt);
  EXPECT_EQ(aligned_down(PhysAddr(kMax), 2), PhysAddr(kMax - 1));
}

}  // namespace
}  // namespace engram::test
