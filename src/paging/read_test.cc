// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// AddressSpace::read(), load() and load_text().

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <vector>

#include "paging/address_space.h"
#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::kP;
using testing::TestMemory;

constexpr Mode kFourLevels{Architecture::x86_64, 4};
constexpr std::uint64_t kData = 16 * kPageSize;    ///< physical: tables lie below
constexpr std::uint64_t kBase = 0x7f00'0000'0000;  ///< virtual

/// Four small pages from kBase on, backwards in physical memory, then a hole; a large page at 2
/// MiB.
class Read : public ::testing::TestWithParam<bool> {
 protected:
  Read() {
    std::mt19937_64 random(7);
    for (std::uint64_t at = kData; at < bytes_.size(); at += 8) bytes_.put(PhysAddr(at), random());
    for (std::uint64_t page = 0; page < 4; ++page) {
      bytes_.map(root_, 4, VirtAddr(kBase + page * kPageSize), small_page(page), kPageSize, kP);
    }
    bytes_.map(root_, 4, VirtAddr(kBase + 2 * kMiB), PhysAddr(2 * kMiB), 2 * kMiB, kP);
  }

  static PhysAddr small_page(std::uint64_t page) {
    return PhysAddr(kData + (3 - page) * kPageSize);
  }

  AddressSpace space(const guest::Memory& memory) const {
    return {memory, kFourLevels, root_, GetParam()};
  }

  /// What the processor would see in the small pages.
  std::vector<std::byte> small_pages() {
    std::vector<std::byte> all;
    for (std::uint64_t page = 0; page < 4; ++page) {
      const std::byte* from = bytes_.at(small_page(page));
      all.insert(all.end(), from, from + kPageSize);
    }
    return all;
  }

  TestMemory bytes_{4 * kMiB};
  PhysAddr root_ = bytes_.new_table();
};

TEST_P(Read, CrossesPagesAtAnyOffsetAndSize) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space = this->space(memory);
  const std::vector<std::byte> all = small_pages();
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    const std::size_t from = random() % all.size();
    const std::size_t size = random() % (all.size() - from + 1);
    std::vector<std::byte> got(size);
    const ReadOutcome outcome = space.read(VirtAddr(kBase + from), got);
    ASSERT_TRUE(outcome.complete());
    ASSERT_EQ(outcome.count, size);
    ASSERT_TRUE(std::equal(got.begin(), got.end(), all.begin() + static_cast<long>(from)));
  }
}

TEST_P(Read, LoadsValuesOfEverySizeAtEveryOffset) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space = this->space(memory);
  const std::vector<std::byte> all = small_pages();
  const auto check = [&]<class T>(T, std::size_t at) {
    const auto value = space.load<T>(VirtAddr(kBase + at));
    ASSERT_TRUE(value) << at;
    ASSERT_EQ(*value, load_unaligned<T>(all.data() + at)) << at;
  };
  for (std::size_t at = kPageSize - 20; at < kPageSize + 20; ++at) {
    check(std::uint8_t{}, at);
    check(std::uint16_t{}, at);
    check(std::uint32_t{}, at);
    check(std::uint64_t{}, at);
    check(std::array<std::byte, 5>{}, at);
    check(std::array<std::uint64_t, 3>{}, at);
  }
}

TEST_P(Read, StopsAtThePageThatIsNotMapped) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space = this->space(memory);
  std::vector<std::byte> got(2 * kPageSize);
  const ReadOutcome outcome = space.read(VirtAddr(kBase + 3 * kPageSize + 5), got);
  EXPECT_EQ(outcome.count, kPageSize - 5);
  ASSERT_TRUE(outcome.fault);
  EXPECT_EQ(outcome.fault->address, VirtAddr(kBase + 4 * kPageSize));
  EXPECT_EQ(outcome.fault->reason, Reason::not_present);
  EXPECT_EQ(outcome.fault->level, 1U);
  EXPECT_EQ(outcome.fault->entry, 0U);
  EXPECT_EQ(outcome.fault->entry_address.value % kPageSize, 4 * 8U);

  const auto loaded = space.load<std::uint64_t>(VirtAddr(kBase + 4 * kPageSize - 3));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().address, VirtAddr(kBase + 4 * kPageSize));
}

TEST_P(Read, SaysWhichByteTheImageDoesNotHave) {
  // The third page (physical kData + 4096) ends after 100 bytes; the fourth, before it, is cut off.
  const guest::Memory memory =
      bytes_.memory({{PhysAddr(0), kData},
                     {PhysAddr(kData), kPageSize, guest::Backing::unreadable, nullptr},
                     {PhysAddr(kData + kPageSize), 100},
                     {PhysAddr(kData + 2 * kPageSize), 4 * kMiB - kData - 2 * kPageSize}});
  const AddressSpace space = this->space(memory);
  std::vector<std::byte> got(4 * kPageSize);
  const ReadOutcome partial = space.read(VirtAddr(kBase + 1), got);
  EXPECT_EQ(partial.count, 2 * kPageSize + 100 - 1);
  ASSERT_TRUE(partial.fault);
  EXPECT_EQ(partial.fault->address, VirtAddr(kBase + 2 * kPageSize + 100));
  EXPECT_EQ(partial.fault->reason, Reason::page_absent);
  EXPECT_EQ(partial.fault->level, 0U);
  EXPECT_EQ(partial.fault->entry_address, PhysAddr(kData + kPageSize + 100));

  // The first four bytes of the word are there: what is asked for decides.
  EXPECT_TRUE(space.load<std::uint32_t>(VirtAddr(kBase + 2 * kPageSize + 96)));
  EXPECT_FALSE(space.load<std::uint64_t>(VirtAddr(kBase + 2 * kPageSize + 96)));

  const auto cut = space.load<std::uint32_t>(VirtAddr(kBase + 3 * kPageSize + 8));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().reason, Reason::page_unreadable);
  EXPECT_EQ(cut.error().address, VirtAddr(kBase + 3 * kPageSize + 8));
  EXPECT_EQ(cut.error().entry_address, PhysAddr(kData + 8));
}

TEST_P(Read, ReadsInsideALargePage) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space = this->space(memory);
  std::vector<std::byte> got(2 * kMiB - 7);
  ASSERT_TRUE(space.read_exact(VirtAddr(kBase + 2 * kMiB + 7), got));
  EXPECT_TRUE(std::equal(got.begin(), got.end(), bytes_.at(PhysAddr(2 * kMiB + 7))));
  for (const std::uint64_t at : {0x8ULL, 0x1000ULL, 0x1f'fff8ULL}) {
    EXPECT_EQ(space.load<std::uint64_t>(VirtAddr(kBase + 2 * kMiB + at)),
              bytes_.get(PhysAddr(2 * kMiB + at)));
  }
}

TEST_P(Read, GoesOnAtZeroAfterTheLastAddress) {
  bytes_.map(root_, 4, VirtAddr(~kPageMask), PhysAddr(kData), kPageSize, kP);
  bytes_.map(root_, 4, VirtAddr(0), PhysAddr(kData + kPageSize), kPageSize, kP);
  const guest::Memory memory = bytes_.memory();
  std::vector<std::byte> got(2 * kPageSize);
  ASSERT_TRUE(space(memory).read_exact(VirtAddr(~kPageMask), got));
  EXPECT_TRUE(std::equal(got.begin(), got.end(), bytes_.at(PhysAddr(kData))));
}

TEST_P(Read, NothingIsAlwaysThere) {
  const guest::Memory memory = bytes_.memory();
  EXPECT_TRUE(space(memory).read(VirtAddr(0xdead'0000'0000'0000), {}).complete());
}

TEST_P(Read, LoadsTextUpToTheNul) {
  // 'a' over the border of two pages, NUL at the end of the third.
  std::fill_n(bytes_.at(small_page(0)), kPageSize, std::byte{'a'});
  std::fill_n(bytes_.at(small_page(1)), kPageSize, std::byte{'a'});
  *bytes_.at(small_page(1) + 10) = std::byte{0};
  std::fill_n(bytes_.at(small_page(3)), kPageSize, std::byte{'z'});
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space = this->space(memory);

  EXPECT_EQ(space.load_text(VirtAddr(kBase), 1U << 20U), std::string(kPageSize + 10, 'a'));
  EXPECT_EQ(space.load_text(VirtAddr(kBase + kPageSize + 8), 100), "aa");
  EXPECT_EQ(space.load_text(VirtAddr(kBase), 300), std::string(300, 'a'));
  EXPECT_EQ(space.load_text(VirtAddr(kBase + kPageSize + 10), 100), "");
  EXPECT_EQ(space.load_text(VirtAddr(0x1000), 0), "");

  // The limit, or else a NUL, must come before the hole.
  EXPECT_EQ(space.load_text(VirtAddr(kBase + 4 * kPageSize - 5), 5), "zzzzz");
  const auto cut = space.load_text(VirtAddr(kBase + 4 * kPageSize - 5), 6);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().address, VirtAddr(kBase + 4 * kPageSize));
  EXPECT_EQ(cut.error().reason, Reason::not_present);
}

INSTANTIATE_TEST_SUITE_P(Cached, Read, ::testing::Bool());

}  // namespace
}  // namespace engram::paging
