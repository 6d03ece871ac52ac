// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/x86.h"

#include <gtest/gtest.h>

#include <vector>

#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::kP;
using testing::kPs;
using testing::kRw;
using testing::kUs;
using testing::kXd;
using testing::TestMemory;

constexpr Mode kNarrow{Architecture::x86, 2}, kPae{Architecture::x86, 3};
constexpr VirtAddr kAddress{0xc1a5'5123};

/// The memory and its root of tables, with one page behind kAddress.
class X86 : public ::testing::Test {
 protected:
  X86() : memory_(64 * kPageSize) {}

  void put32(PhysAddr at, std::uint32_t entry) {
    std::memcpy(memory_.at(at), &entry, sizeof entry);
  }
  /// The entries on the way to kAddress, the root's first.
  void map_narrow(std::uint32_t directory, std::uint32_t table) {
    put32(kRoot + (kAddress.value >> 22U) * 4, directory);
    put32(kTable + (kAddress.value >> 12U & 1023U) * 4, table);
  }
  void map_pae(std::uint64_t pointer, std::uint64_t directory, std::uint64_t table) {
    memory_.put(kPaeRoot + (kAddress.value >> 30U) * 8, pointer);
    memory_.put(kDirectory + (kAddress.value >> 21U & 511U) * 8, directory);
    memory_.put(kTable + (kAddress.value >> 12U & 511U) * 8, table);
  }
  Result<Translation, Fault> translate(Mode mode, PhysAddr root, VirtAddr address = kAddress) {
    const guest::Memory memory = memory_.memory();
    const AddressSpace space(memory, mode, root);
    (void)space.translate(address);
    return space.translate(address);  // from the cache, if it is there
  }
  Fault fault(Mode mode, PhysAddr root, VirtAddr address = kAddress) {
    const auto found = translate(mode, root, address);
    EXPECT_FALSE(found);
    return found ? Fault{} : found.error();
  }

  static constexpr PhysAddr kRoot{0x1000}, kDirectory{0x2000}, kTable{0x3000}, kPage{0x5000};
  static constexpr PhysAddr kPaeRoot{0x1fe0};  // 32 bytes, the last ones of a page
  TestMemory memory_;
};

TEST_F(X86, SmallPage) {
  map_narrow(kTable.value | kP | kRw | kUs, kPage.value | kP | kUs);
  const auto found = translate(kNarrow, kRoot + 0x18);  // PCD and PWT
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->physical, kPage + 0x123);
  EXPECT_EQ(found->page_size, kPageSize);
  EXPECT_EQ(found->access, (Access{.writable = false, .executable = true, .user = true}));
}

TEST_F(X86, LargePageWith40Bits) {
  constexpr std::uint32_t kUpper = 0xa5U << 13U, kPat = 1U << 12U;
  map_narrow(0x00c0'0000 | kUpper | kPat | kP | kRw | kPs, 0);
  const auto found = translate(kNarrow, kRoot);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, PhysAddr(0xa5'00c0'0000 + (kAddress.value & (4 * kMiB - 1))));
  EXPECT_EQ(found->page_size, 4 * kMiB);
}

TEST_F(X86, FaultsOfEachLevel) {
  EXPECT_EQ(fault(kNarrow, kRoot).level, 2U);
  map_narrow(1U << 21U | kP | kPs, 0);
  EXPECT_EQ(fault(kNarrow, kRoot).reason, Reason::reserved_bits);
  map_narrow(0x7000'0000 | kP, 0);
  EXPECT_EQ(fault(kNarrow, kRoot).reason, Reason::table_absent);
  EXPECT_EQ(fault(kNarrow, kRoot).level, 1U);
  map_narrow(kTable.value | kP, 0xffff'f000);
  EXPECT_EQ(fault(kNarrow, kRoot).reason, Reason::not_present);
  EXPECT_EQ(fault(kNarrow, kRoot).entry, 0xffff'f000U);
  EXPECT_EQ(fault(kNarrow, kRoot).level, 1U);
}

TEST_F(X86, AddressesHave32Bits) {
  for (const Mode mode : {kNarrow, kPae}) {
    const Fault found = fault(mode, kRoot, VirtAddr(0x1'0000'0000));
    EXPECT_EQ(found.reason, Reason::non_canonical);
    const guest::Memory memory = memory_.memory();
    EXPECT_EQ(AddressSpace(memory, mode, kRoot).last_alike(found), VirtAddr(~0ULL));
    EXPECT_EQ(fault(mode, kRoot, VirtAddr(0xffff'ffff'c1a5'5123)).reason, Reason::non_canonical);
  }
}

TEST_F(X86, PaeSmallPage) {
  map_pae(kDirectory.value | kP, kTable.value | kP | kRw | kUs, kPage.value | kP | kRw | kXd);
  const auto found = translate(kPae, kPaeRoot + 0x18);
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->physical, kPage + 0x123);
  EXPECT_EQ(found->access, (Access{.writable = true, .executable = false, .user = false}));
}

TEST_F(X86, PaeLargePageAbove4G) {
  map_pae(kDirectory.value | kP, 0xd'4020'0000 | kP | kPs | 1U << 12U, 0);
  const auto found = translate(kPae, kPaeRoot);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, PhysAddr(0xd'4020'0000 + (kAddress.value & (2 * kMiB - 1))));
  EXPECT_EQ(found->page_size, 2 * kMiB);
}

TEST_F(X86, PaeFaultsOfEachLevel) {
  EXPECT_EQ(fault(kPae, kPaeRoot).level, 3U);
  for (const unsigned bit : {1U, 2U, 5U, 6U, 7U, 8U}) {
    map_pae(kDirectory.value | kP | 1ULL << bit, 0, 0);
    EXPECT_EQ(fault(kPae, kPaeRoot).reason, Reason::reserved_bits) << bit;
  }
  map_pae(kDirectory.value | kP, 0, 0);
  EXPECT_EQ(fault(kPae, kPaeRoot).level, 2U);
  map_pae(kDirectory.value | kP, 0x10'0000 | kP | kPs, 0);
  EXPECT_EQ(fault(kPae, kPaeRoot).reason, Reason::reserved_bits);
  map_pae(kDirectory.value | kP, kTable.value | kP, 0);
  EXPECT_EQ(fault(kPae, kPaeRoot).level, 1U);
}

TEST_F(X86, ListsWhatIsMapped) {
  map_narrow(kTable.value | kP | kRw, kPage.value | kP);
  put32(kRoot + 1023 * 4, 0x00c0'0000 | kP | kPs);  // the last 4 MiB
  const guest::Memory memory = memory_.memory();
  std::vector<Mapping> all;
  const auto skipped = AddressSpace(memory, kNarrow, kRoot)
                           .for_each_mapping(VirtAddr(0), VirtAddr(~0ULL), [&](const Mapping& m) {
                             all.push_back(m);
                             return true;
                           });
  EXPECT_EQ(skipped, 0U);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].start, VirtAddr(kAddress.value & ~kPageMask));
  EXPECT_EQ(all[0].physical, kPage);
  EXPECT_EQ(all[1].start, VirtAddr(0xffc0'0000));
  EXPECT_EQ(all[1].size, 4 * kMiB);
}

TEST_F(X86, TablesThatLeadToThemselvesEnd) {
  for (std::uint64_t i = 0; i < 1024; ++i) put32(kRoot + i * 4, kRoot.value | kP);
  const auto found = translate(kNarrow, kRoot);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, kRoot + 0x123);
  std::uint64_t count = 0;
  const guest::Memory memory = memory_.memory();
  (void)AddressSpace(memory, kNarrow, kRoot)
      .for_each_mapping(VirtAddr(0), VirtAddr(~0ULL), [&](const Mapping&) {
        ++count;
        return true;
      });
  EXPECT_LE(count, AddressSpace::kShareLimit * 1024);
}

TEST(X86Mode, OtherLevelsAreNone) {
  for (const unsigned levels : {0U, 1U, 4U, 5U}) EXPECT_EQ(find_x86_format(levels), nullptr);
}

}  // namespace
}  // namespace engram::paging
