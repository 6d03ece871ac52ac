// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/self_map.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::kP;
using testing::kRw;
using testing::TestMemory;

constexpr VirtAddr kKnown(0xffff'f780'0000'0000), kKnown32(0xffdf'0000);
constexpr Mode kFourLevels{Architecture::x86_64, 4, Software::windows};
constexpr Mode kPae{Architecture::x86, 3, Software::windows};
constexpr Mode kNarrow{Architecture::x86, 2, Software::windows};
constexpr std::uint64_t kAll = ~std::uint64_t{0};

class SelfMap : public ::testing::Test {
 protected:
  /// Roots that the search asks about, with the first one that `accepted` names.
  std::optional<FoundRoot> find(std::uint64_t most = kAll, unsigned accepted = 0) {
    asked_.clear();
    const std::array kinds{SelfMapped{kFourLevels, kKnown, most}, SelfMapped{kPae, kKnown32, most},
                           SelfMapped{kNarrow, kKnown32, most}};
    const guest::Memory memory = bytes_.memory();
    return find_self_mapped_root(memory, kinds, [&](const FoundRoot& found) {
      asked_.push_back(found);
      return asked_.size() > accepted;
    });
  }

  /// Four tables of which the last has all, and a root of 32 bytes at `root`.
  void put_pae(PhysAddr root) {
    std::array<PhysAddr, 4> tables;
    for (PhysAddr& table : tables) table = bytes_.new_table();
    for (std::uint64_t i = 0; i < tables.size(); ++i) {
      bytes_.put(tables[3] + i * 8, tables[i].value | kP | kRw);
      bytes_.put(root + i * 8, tables[i].value | kP);
    }
  }

  TestMemory bytes_{64 * kPageSize};
  PhysAddr unused_ = bytes_.new_table();
  std::vector<FoundRoot> asked_;
};

TEST_F(SelfMap, NothingIsFoundInZeros) {
  EXPECT_FALSE(find());
  EXPECT_TRUE(asked_.empty());
}

TEST_F(SelfMap, ARootLeadsToItselfAndToTheKnownAddress) {
  const PhysAddr root = bytes_.new_table();
  const PhysAddr below = bytes_.new_table();
  bytes_.put(root + 0x1EF * 8, below.value | kP | kRw);
  bytes_.put(below, bytes_.new_table().value | kP | kRw);
  EXPECT_FALSE(find());  // it does not lead to itself
  bytes_.put(root + 0x1ED * 8, root.value | kP | kRw);
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->root, root);
  EXPECT_EQ(found->mode, kFourLevels);
  bytes_.put(root + 0x1EF * 8, 0);
  EXPECT_FALSE(find());
}

TEST_F(SelfMap, OnlyTheUpperHalfCounts) {
  const PhysAddr root = bytes_.new_table();
  const PhysAddr below = bytes_.new_table();
  bytes_.put(root + 0x1EF * 8, below.value | kP | kRw);
  bytes_.put(below, bytes_.new_table().value | kP | kRw);
  bytes_.put(root + 0x0ED * 8, root.value | kP | kRw);
  EXPECT_FALSE(find());
}

TEST_F(SelfMap, WithPaeTheRootMayBeAnywhereInAPage) {
  const PhysAddr root = bytes_.new_table() + 0x7e0;
  put_pae(root);
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->root, root);
  EXPECT_EQ(found->mode, kPae);
  bytes_.put(root + 8, bytes_.get(root + 16));  // another table than the last one has
  EXPECT_FALSE(find());
}

TEST_F(SelfMap, EntriesOfFourBytes) {
  const PhysAddr root = bytes_.new_table();
  const PhysAddr below = bytes_.new_table();
  bytes_.put(root + 0xC00, root.value | kP | kRw);
  bytes_.put(root + 0xFF8, (below.value | kP | kRw) << 32U);
  bytes_.put(below + 0x7C0, bytes_.new_table().value | kP | kRw);
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->root, root);
  EXPECT_EQ(found->mode, kNarrow);
}

TEST_F(SelfMap, TheNextOneIsTriedAndNoMoreMemoryThanWasAsked) {
  const PhysAddr first = bytes_.new_table();
  put_pae(first);
  const PhysAddr second = bytes_.new_table();
  put_pae(second);
  EXPECT_EQ(find(kAll, 1)->root, second);
  EXPECT_EQ(asked_.size(), 2U);
  EXPECT_EQ(find(8 * kPageSize)->root, first);
  EXPECT_FALSE(find(2 * kPageSize));
}

TEST_F(SelfMap, TablesWithoutARootAreNotLookedForForever) {
  for (unsigned i = 0; i < kMostTables + 4; ++i) {
    const PhysAddr table = bytes_.new_table();
    for (std::uint64_t entry = 0; entry < 4; ++entry)
      bytes_.put(table + entry * 8, table.value | kP | kRw);
  }
  EXPECT_FALSE(find());
  put_pae(bytes_.new_table());
  EXPECT_FALSE(find());  // behind more tables than are followed
}

}  // namespace
}  // namespace engram::paging
