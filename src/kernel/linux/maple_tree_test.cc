// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/maple_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "kernel/linux/test_kernel_memory.h"
#include "types/test_btf.h"

namespace engram::kernel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kMax = ~std::uint64_t{0};
constexpr std::uint64_t kLeaf = 1, kRange = 2, kAllocation = 3;  // enum maple_type

using Entry = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

/// A tree at kBase in 1 MiB of kernel memory, as lib/maple_tree.c lays it out.
class MapleTreeTest : public KernelMemoryTest {
 protected:
  static types::TypeDb make_types() {
    types::testing::BtfWriter writer;
    const auto word = writer.integer("unsigned long", 8);
    const auto pointer = writer.pointer(0);
    writer.structure("maple_tree", 16, {{"ma_root", pointer, 64}});
    writer.structure("maple_range_64", 256,
                     {{"parent", pointer, 0},
                      {"pivot", writer.array(word, 15), 8UL * 8},
                      {"slot", writer.array(pointer, 16), 128UL * 8}});
    writer.structure("maple_arange_64", 256,
                     {{"parent", pointer, 0},
                      {"pivot", writer.array(word, 9), 8UL * 8},
                      {"slot", writer.array(pointer, 10), 80UL * 8}});
    return types::TypeDb::from_btf(writer.bytes()).value();
  }

  static std::uint64_t encoded(VirtAddr node, std::uint64_t type) {
    return node.value | type << 3U | 4U;
  }
  void put_root(VirtAddr node, std::uint64_t type) {
    put(kBase + 8, encoded(node, type) | 2U);
    put(node, kBase.value | 1U);
  }
  /// Its parent pointer has the slot and the parent's type in its low bits.
  void put_parent(VirtAddr node, VirtAddr parent) { put(node, parent.value | 0x0eU); }
  void put_pivot(VirtAddr node, std::uint64_t index, std::uint64_t last) {
    put(node + 8 + index * 8, last);
  }
  void put_slot(VirtAddr node, std::uint64_t type, std::uint64_t index, std::uint64_t value) {
    put(node + (type == kAllocation ? 80U : 128U) + index * 8, value);
  }
  void put_entry(VirtAddr leaf, std::uint64_t index, std::uint64_t last, std::uint64_t value) {
    put_pivot(leaf, index, last);
    put_slot(leaf, kLeaf, index, value);
  }

  /// An upper node with two leaves: entries 0x10 to 0x1f (leaf 1) and 0x30 to 0x3f (leaf 2).
  void put_two_leaves() {
    put_root(top_, kAllocation);
    put_pivot(top_, 0, 0x27);
    put_slot(top_, kAllocation, 0, encoded(first_, kLeaf));
    put_pivot(top_, 1, kMax);
    put_slot(top_, kAllocation, 1, encoded(second_, kLeaf));
    put_parent(first_, top_);
    put_entry(first_, 0, 0xf, 0);
    put_entry(first_, 1, 0x1f, 0x1000);
    put_entry(first_, 2, 0x27, 0);
    put_parent(second_, top_);
    put_entry(second_, 0, 0x2f, 0);
    put_entry(second_, 1, 0x3f, 0x2000);
  }

  std::vector<Entry> walk() {
    std::vector<Entry> found;
    good_ = MapleTreeWalker(types_, diagnostics_)
                .walk(*reader_, kBase, "tree", [&](const MapleEntry& entry) {
                  found.emplace_back(entry.first, entry.last, entry.value.value);
                  return found.size() < limit_;
                });
    return found;
  }

  static constexpr VirtAddr top_{kBase.value + 0x1000}, first_{kBase.value + 0x1100},
      second_{kBase.value + 0x1200};
  types::TypeDb types_ = make_types();
  std::size_t limit_ = 1000;
  bool good_ = false;
};

TEST_F(MapleTreeTest, EmptyAndSingleEntryNeedNoNode) {
  EXPECT_TRUE(walk().empty());
  EXPECT_TRUE(good_);
  put(kBase + 8, 0x1000);
  EXPECT_THAT(walk(), ElementsAre(Entry{0, 0, 0x1000}));
}

TEST_F(MapleTreeTest, LeafGivesItsEntriesAndLeavesOutGapsAndReservedOnes) {
  put_root(first_, kLeaf);
  put_entry(first_, 0, 0xf, 0);
  put_entry(first_, 1, 0x1f, 0x1000);
  put_entry(first_, 2, 0x2f, 0x406);  // XA_ZERO_ENTRY
  put_entry(first_, 3, 0x3f, 0x2000);
  put_slot(first_, kLeaf, 15, 0x0404);  // the number of the last slot in use and of the longest gap
  EXPECT_THAT(walk(), ElementsAre(Entry{0x10, 0x1f, 0x1000}, Entry{0x30, 0x3f, 0x2000}));
  EXPECT_TRUE(good_);
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(MapleTreeTest, LastSlotOfAFullLeafHasNoPivot) {
  put_root(first_, kLeaf);
  for (std::uint64_t i = 0; i < 15; ++i) put_entry(first_, i, i * 16 + 15, 0x1000 + i * 16);
  put_slot(first_, kLeaf, 15, 0x2000);
  const auto found = walk();
  ASSERT_EQ(found.size(), 16U);
  EXPECT_EQ(found.back(), (Entry{0xf0, kMax, 0x2000}));
}

TEST_F(MapleTreeTest, TwoLevelsInOrder) {
  put_two_leaves();
  EXPECT_THAT(walk(), ElementsAre(Entry{0x10, 0x1f, 0x1000}, Entry{0x30, 0x3f, 0x2000}));
  EXPECT_TRUE(good_);
  limit_ = 1;
  EXPECT_THAT(walk(), ElementsAre(Entry{0x10, 0x1f, 0x1000}));
}

struct Damage {
  const char* name;
  std::uint64_t offset, word;  ///< from kBase
  const char* reason;
};

class DamagedMapleTreeTest : public MapleTreeTest, public testing::WithParamInterface<Damage> {};

TEST_P(DamagedMapleTreeTest, LosesOneLeafAndSaysWhy) {
  put_two_leaves();
  put(kBase + GetParam().offset, GetParam().word);
  EXPECT_THAT(walk(), ElementsAre(Entry{0x30, 0x3f, 0x2000}));
  EXPECT_FALSE(good_);
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_THAT(diagnostics_.rows()[0].message, HasSubstr(GetParam().reason));
}

constexpr std::uint64_t kFirstSlot = 0x1000 + 80;
INSTANTIATE_TEST_SUITE_P(
    Damage, DamagedMapleTreeTest,
    testing::Values(Damage{"Nowhere", kFirstSlot, kBase.value + kDataSize + 0x0c, "not present"},
                    Damage{"UserMemory", kFirstSlot, 0x7f000000000c, "not present"},
                    Damage{"UnknownType", kFirstSlot, kBase.value + 0x1100 + 0x24, "type 4"},
                    Damage{"Itself", kFirstSlot, kBase.value + 0x1000 + 0x1c, "twice"},
                    Damage{"TakenOut", 0x1100, kBase.value + 0x1100, "parent"},
                    Damage{"OfAnotherTree", 0x1100, kBase.value + 0x2000 + 0x0e, "parent"},
                    Damage{"PivotBehindTheNode", 0x1100 + 8, 0x28, "pivot 0x28"}),
    [](const auto& chosen) { return std::string(chosen.param.name); });

TEST_F(MapleTreeTest, PivotsInWrongOrderEndTheNode) {
  put_two_leaves();
  put_pivot(first_, 2, 0x17);
  EXPECT_THAT(walk(), ElementsAre(Entry{0x10, 0x1f, 0x1000}, Entry{0x30, 0x3f, 0x2000}));
  EXPECT_FALSE(good_);
}

TEST_F(MapleTreeTest, DepthIsBounded) {
  put_root(top_, kRange);
  VirtAddr node = top_;
  for (int i = 0; i < 100; ++i) {
    put_pivot(node, 0, kMax);
    put_slot(node, kRange, 0, encoded(node + 0x100, kRange));
    put_parent(node + 0x100, node);
    node = node + 0x100;
  }
  EXPECT_TRUE(walk().empty());
  EXPECT_FALSE(good_);
  EXPECT_EQ(diagnostics_.rows().size(), 1U);
}

}  // namespace
}  // namespace engram::kernel
