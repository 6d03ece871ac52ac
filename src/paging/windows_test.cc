// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/windows.h"

#include <gtest/gtest.h>

#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::kP;
using testing::kPs;
using testing::kRw;
using testing::kUs;
using testing::kXd;
using testing::TestMemory;

constexpr Mode kMode{Architecture::x86_64, 4, Software::windows};
constexpr VirtAddr kAddress{0x7ff6'1234'5000};
constexpr PhysAddr kPage{0x80'000};

constexpr std::uint64_t kPrototype = 1U << 10U, kTransition = 1U << 11U;
constexpr std::uint64_t kSwizzle = 1ULL << 45U;
constexpr std::uint64_t protection(std::uint64_t value) {
  return value << 5U;
}

/// A space in which kAddress has this entry of level 1.
class WindowsPaging : public ::testing::Test {
 protected:
  WindowsPaging() : memory_(256 * kPageSize), root_(memory_.new_table()) {}

  Result<Translation, Fault> translate(std::uint64_t entry) {
    memory_.map(root_, 4, kAddress, PhysAddr(0), kPageSize, entry);
    const guest::Memory memory = memory_.memory();
    return walk(memory, kMode, root_, kAddress + 0x123);
  }

  Reason reason(std::uint64_t entry) {
    const auto found = translate(entry);
    if (found) {
      ADD_FAILURE() << std::hex << entry << " translates to " << found->physical.value;
      return Reason::non_canonical;
    }
    EXPECT_EQ(found.error().level, 1U);
    EXPECT_EQ(found.error().entry, entry);
    return found.error().reason;
  }

  TestMemory memory_;
  PhysAddr root_;
};

TEST_F(WindowsPaging, WhatTheProcessorSeesIsAsItSeesIt) {
  const auto found = translate(kPage.value | kP | kUs | kXd);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, kPage + 0x123);
  EXPECT_EQ(found->access, (Access{.writable = false, .executable = false, .user = true}));
}

TEST_F(WindowsPaging, APageInTransitionIsThereWithTheRightsOfItsProtection) {
  const auto data = translate(kPage.value | kTransition | protection(4));
  ASSERT_TRUE(data);
  EXPECT_EQ(data->physical, kPage + 0x123);
  EXPECT_EQ(data->page_size, kPageSize);
  EXPECT_EQ(data->access, (Access{.writable = true, .executable = false, .user = true}));
  const auto code = translate(kPage.value | kTransition | protection(3));
  ASSERT_TRUE(code);
  EXPECT_EQ(code->access, (Access{.writable = false, .executable = true, .user = true}));
  const auto copied = translate(kPage.value | kTransition | protection(7));
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->access, (Access{.writable = false, .executable = true, .user = true}));
}

TEST_F(WindowsPaging, TheBitAgainstL1tfIsNoPartOfTheAddress) {
  const auto found = translate(kPage.value | kSwizzle | kTransition | protection(4));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, kPage + 0x123);
}

TEST_F(WindowsPaging, WhatIsNotThereIsSaid) {
  EXPECT_EQ(reason(0), Reason::not_present);
  EXPECT_EQ(reason(protection(4)), Reason::demand_zero);
  EXPECT_EQ(reason(0x1234ULL << 32U | protection(4)), Reason::page_file);
  EXPECT_EQ(reason(0xffff'8a00'1234'0000 | kPrototype), Reason::prototype);
  // A prototype entry may have the bit of a transition in its address.
  EXPECT_EQ(reason(0xffff'8a00'1234'0000 | kPrototype | kTransition), Reason::prototype);
}

TEST_F(WindowsPaging, OtherSystemsDoNotKnowTransitions) {
  ASSERT_TRUE(translate(kPage.value | kTransition));
  const guest::Memory memory = memory_.memory();
  const auto found = walk(memory, {Architecture::x86_64, 4}, root_, kAddress);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, Reason::not_present);
}

TEST_F(WindowsPaging, OnlyTheLowestLevelHasAMeaningWithoutThePresentBit) {
  memory_.map(root_, 4, kAddress, PhysAddr(0), 512 * kPageSize, kTransition);
  const guest::Memory memory = memory_.memory();
  const auto found = walk(memory, kMode, root_, kAddress);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, Reason::not_present);
  EXPECT_EQ(found.error().level, 2U);
}

TEST_F(WindowsPaging, TheFaultNamesAddressLevelAndKind) {
  const auto found = translate(0x1234ULL << 32U);
  ASSERT_FALSE(found);
  const std::string text = to_string(found.error());
  EXPECT_NE(text.find("0x7ff612345123"), std::string::npos) << text;
  EXPECT_NE(text.find("level 1, leads into a page file"), std::string::npos) << text;
}

TEST_F(WindowsPaging, PagesInTransitionAreMapped) {
  ASSERT_TRUE(translate(kPage.value | kTransition | protection(4)));
  const guest::Memory memory = memory_.memory();
  const AddressSpace space(memory, kMode, root_);
  std::vector<VirtAddr> found;
  EXPECT_EQ(space.for_each_mapping(VirtAddr(0), VirtAddr(~std::uint64_t{0}),
                                   [&](const Mapping& mapping) {
                                     found.push_back(mapping.start);
                                     return true;
                                   }),
            0U);
  EXPECT_EQ(found, std::vector{kAddress});
}

Entry decode(const Mode& mode, std::uint64_t entry, unsigned level = 1) {
  return find_windows_format(mode)->decode(entry, level);
}

TEST(WindowsEntries, OfNarrowX86) {
  constexpr Mode kX86{Architecture::x86, 2, Software::windows};
  const Entry data = decode(kX86, 0xabcd'e000 | kTransition | protection(4));
  EXPECT_EQ(data.kind, Entry::Kind::page);
  EXPECT_EQ(data.physical, PhysAddr(0xabcd'e000));
  EXPECT_TRUE(data.access.writable);
  EXPECT_EQ(decode(kX86, 0).kind, Entry::Kind::not_present);
  EXPECT_EQ(decode(kX86, protection(4)).kind, Entry::Kind::demand_zero);
  EXPECT_EQ(decode(kX86, 0x12'3000 | protection(4)).kind, Entry::Kind::page_file);
  EXPECT_EQ(decode(kX86, 0x5000 | kPrototype | kTransition).kind, Entry::Kind::prototype);
  EXPECT_EQ(decode(kX86, kTransition | 0x5000, 2).kind, Entry::Kind::not_present);
  EXPECT_EQ(decode(kX86, 0x5000 | kP).physical, PhysAddr(0x5000));
}

TEST(WindowsEntries, OfPaeX86) {
  constexpr Mode kPae{Architecture::x86, 3, Software::windows};
  // What lies above 36 bits is no part of the address.
  EXPECT_EQ(decode(kPae, kSwizzle | 0x9'8765'4000 | kTransition | protection(4)).physical,
            PhysAddr(0x9'8765'4000));
  EXPECT_EQ(decode(kPae, 0x1234ULL << 32U).kind, Entry::Kind::page_file);
  EXPECT_EQ(decode(kPae, 0x1234'5000).kind, Entry::Kind::demand_zero);
  EXPECT_EQ(decode(kPae, 0x8123'4567ULL << 32U | kPrototype).kind, Entry::Kind::prototype);
}

TEST(WindowsEntries, OfArm64) {
  constexpr Mode kArm64{Architecture::arm64, 4, Software::windows};
  constexpr std::uint64_t kReadOnly = 1U << 7U, kWritable = 1ULL << 55U;
  // The protection begins at bit 1.
  const Entry data = decode(kArm64, kPage.value | kTransition | 4U << 1U);
  EXPECT_EQ(data.kind, Entry::Kind::page);
  EXPECT_EQ(data.physical, kPage);
  EXPECT_EQ(data.access, (Access{.writable = true, .executable = false, .user = true}));
  EXPECT_FALSE(decode(kArm64, kPage.value | 3 | kReadOnly).access.writable);
  EXPECT_TRUE(decode(kArm64, kPage.value | 3 | kReadOnly | kWritable).access.writable);
  EXPECT_EQ(decode(kArm64, 4U << 1U).kind, Entry::Kind::demand_zero);
  EXPECT_EQ(decode(kArm64, 0x1234ULL << 32U | 4U << 1U).kind, Entry::Kind::page_file);
  EXPECT_EQ(decode(kArm64, kPrototype).kind, Entry::Kind::prototype);
  // One root has both ends, and addresses have no tags.
  const Format& format = *find_windows_format(kArm64);
  EXPECT_EQ(format.index(VirtAddr(0xffff'8000'0000'0000), 4), 256U);
  EXPECT_TRUE(format.is_canonical(VirtAddr(0xffff'8000'0000'0000)));
  EXPECT_FALSE(format.is_canonical(VirtAddr(0x0000'8000'0000'0000)));
  EXPECT_FALSE(format.is_canonical(VirtAddr(0x0100'0000'0000'0000)));
}

TEST(WindowsEntries, ModesThatItDoesNotHave) {
  for (const Mode mode : {Mode{Architecture::x86_64, 3}, Mode{Architecture::x86, 4},
                          Mode{Architecture::arm64, 3}, Mode{Architecture::unknown, 4}}) {
    EXPECT_EQ(find_windows_format(mode), nullptr);
  }
}

}  // namespace
}  // namespace engram::paging
