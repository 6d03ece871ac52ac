// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/linux/test_kernel_memory.h"
#include "types/test_btf.h"

namespace engram::kernel {
namespace {

/// 1 MiB of kernel memory at kBase, and nothing behind it.
class ContainersTest : public KernelMemoryTest {
 protected:
  /// A circular list of these nodes behind `head`.
  void link(VirtAddr head, const std::vector<VirtAddr>& nodes) {
    VirtAddr from = head;
    for (const auto node : nodes) {
      put(from, node.value);
      from = node;
    }
    put(from, head.value);
  }
};

TEST_F(ContainersTest, ListGivesObjectsInOrderWithoutTheHead) {
  link(kBase, {kBase + 0x310, kBase + 0x110, kBase + 0x210});
  EXPECT_EQ(walk_list(*reader_, kBase, 0x10, "list"),
            (std::vector{kBase + 0x300, kBase + 0x100, kBase + 0x200}));
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(ContainersTest, EmptyListHasNoObjects) {
  link(kBase, {});
  EXPECT_TRUE(walk_list(*reader_, kBase, 0, "list").empty());
  EXPECT_TRUE(diagnostics_.rows().empty());
}

struct DamagedList {
  const char* name;
  std::uint64_t last_link;  ///< where the third object points instead of at the head
  std::size_t objects;      ///< that are still found
  const char* reason;
};

class DamagedListTest : public ContainersTest, public testing::WithParamInterface<DamagedList> {};

TEST_P(DamagedListTest, KeepsWhatCameBeforeAndSaysWhy) {
  link(kBase, {kBase + 0x100, kBase + 0x200, kBase + 0x300});
  put(kBase + 0x300, GetParam().last_link);
  EXPECT_EQ(walk_list(*reader_, kBase, 0, "list").size(), GetParam().objects);
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_THAT(diagnostics_.rows()[0].message, testing::HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Damage, DamagedListTest,
    testing::Values(DamagedList{"Null", 0, 3, "NULL"},
                    DamagedList{"Cycle", (kBase + 0x200).value, 3, "comes back"},
                    DamagedList{"Nowhere", (kBase + kDataSize).value, 3, "not present"},
                    DamagedList{"NonCanonical", 0x1234567890abcdef, 3, "not an address"}),
    [](const auto& chosen) { return std::string(chosen.param.name); });

TEST_F(ContainersTest, ListStopsAtItsLimit) {
  std::vector<VirtAddr> nodes;
  for (std::uint64_t i = 1; i <= 100; ++i) nodes.push_back(kBase + i * 64);
  link(kBase, nodes);
  EXPECT_EQ(walk_list(*reader_, kBase, 0, "list", 10).size(), 10U);
  EXPECT_EQ(diagnostics_.rows().size(), 1U);
}

/// Objects that begin with a pointer to the next one; that to the first is at kBase + 8.
class ChainTest : public ContainersTest {
 protected:
  std::vector<VirtAddr> walk(std::size_t limit = 100) {
    return walk_chain(*reader_, kBase, {"owner.first", 8}, {"object.next", 0}, limit);
  }
};

TEST_F(ChainTest, GivesObjectsInOrder) {
  put(kBase + 8, (kBase + 0x300).value);
  put(kBase + 0x300, (kBase + 0x100).value);
  EXPECT_EQ(walk(), (std::vector{kBase + 0x300, kBase + 0x100}));
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(ChainTest, AnEmptyOneHasNoObjects) {
  EXPECT_TRUE(walk().empty());
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(ChainTest, StopsAtItsLimit) {
  for (std::uint64_t i = 1; i <= 100; ++i) put(kBase + i * 64, (kBase + (i + 1) * 64).value);
  put(kBase + 8, (kBase + 64).value);
  EXPECT_EQ(walk(10).size(), 10U);
  EXPECT_EQ(diagnostics_.rows().size(), 1U);
}

class DamagedChainTest : public ChainTest, public testing::WithParamInterface<DamagedList> {};

TEST_P(DamagedChainTest, KeepsWhatCameBeforeAndSaysWhy) {
  put(kBase + 8, (kBase + 0x100).value);
  put(kBase + 0x100, (kBase + 0x200).value);
  put(kBase + 0x200, GetParam().last_link);
  EXPECT_EQ(walk().size(), GetParam().objects);
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_EQ(diagnostics_.rows()[0].component, "object.next");
  EXPECT_THAT(diagnostics_.rows()[0].message, testing::HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Damage, DamagedChainTest,
    testing::Values(DamagedList{"Cycle", (kBase + 0x100).value, 2, "comes back"},
                    DamagedList{"Nowhere", (kBase + kDataSize).value, 2, "not present"},
                    DamagedList{"NonCanonical", 0x1234567890abcdef, 2, "not an address"}),
    [](const auto& chosen) { return std::string(chosen.param.name); });

/// An XArray as lib/xarray.c lays it out: struct xa_node { u8 shift; ... void *slots[64]; }.
class XArrayTest : public ContainersTest {
 protected:
  static constexpr std::uint64_t kHead = 8, kSlots = 16;

  static types::TypeDb make_types() {
    types::testing::BtfWriter writer;
    const auto byte = writer.integer("unsigned char", 1);
    const auto pointer = writer.pointer(0);
    const auto slots = writer.array(pointer, 64);
    writer.structure("xarray", 16, {{"xa_head", pointer, kHead * 8}});
    writer.structure("xa_node", kSlots + 64UL * 8,
                     {{"shift", byte, 0}, {"slots", slots, kSlots * 8}});
    return types::TypeDb::from_btf(writer.bytes()).value();
  }

  void put_node(VirtAddr node, std::uint8_t shift) { put(node, shift); }
  void put_slot(VirtAddr node, std::uint64_t slot, std::uint64_t entry) {
    put(node + kSlots + slot * 8, entry);
  }
  static std::uint64_t as_node(VirtAddr node) { return node.value + 2; }

  std::vector<std::pair<std::uint64_t, std::uint64_t>> walk() {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
    XArrayWalker(types_, *reader_).walk(kBase, "xarray", [&](std::uint64_t index, VirtAddr entry) {
      found.emplace_back(index, entry.value);
      return found.size() < 1000;
    });
    return found;
  }

  types::TypeDb types_ = make_types();
};

TEST_F(XArrayTest, EmptyAndSingleEntryNeedNoNode) {
  put(kBase + kHead, 0);
  EXPECT_TRUE(walk().empty());
  put(kBase + kHead, 0xffff888000001000);
  EXPECT_EQ(walk(),
            (std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 0xffff888000001000}}));
}

TEST_F(XArrayTest, GivesPointersOfAllLevelsInIndexOrder) {
  const VirtAddr top = kBase + 0x1000, first = kBase + 0x2000, last = kBase + 0x3000;
  put(kBase + kHead, as_node(top));
  put_node(top, 6);
  put_slot(top, 0, as_node(first));
  put_slot(top, 63, as_node(last));
  put_node(first, 0);
  put_slot(first, 1, 0xffff888000005000);
  put_slot(first, 2, 0x15);  // a value entry
  put_slot(first, 3, 6);     // a sibling entry
  put_node(last, 0);
  put_slot(last, 63, 0xffff888000006000);
  EXPECT_EQ(walk(), (std::vector<std::pair<std::uint64_t, std::uint64_t>>{
                        {1, 0xffff888000005000}, {4095, 0xffff888000006000}}));
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(XArrayTest, DamagedNodeLosesItselfOnly) {
  const VirtAddr top = kBase + 0x1000, good = kBase + 0x2000, endless = kBase + 0x3000;
  put(kBase + kHead, as_node(top));
  put_node(top, 6);
  put_slot(top, 0, as_node(top));                // points at itself
  put_slot(top, 1, as_node(kBase + kDataSize));  // not mapped
  put_slot(top, 2, as_node(endless));            // its shift does not become smaller
  put_node(endless, 6);
  put_slot(top, 3, as_node(good));
  put_node(good, 0);
  put_slot(good, 0, 0xffff888000005000);
  EXPECT_EQ(walk(),
            (std::vector<std::pair<std::uint64_t, std::uint64_t>>{{192, 0xffff888000005000}}));
  EXPECT_EQ(diagnostics_.rows().size(), 3U);
}

std::vector<XArrayEntry> entries(const types::TypeDb& types, const Reader& reader) {
  std::vector<XArrayEntry> found;
  XArrayWalker(types, reader).walk_entries(kBase, "xarray", [&](const XArrayEntry& entry) {
    found.push_back(entry);
    return found.size() < 1000;
  });
  return found;
}

// What mm/filemap.c stores for folios of 4 and of 512 pages, and mm/workingset.c for an evicted
// one: an entry in its first slot, siblings (xa_mk_sibling()) in the others.
TEST_F(XArrayTest, EntriesCoverTheirSiblings) {
  const VirtAddr top = kBase + 0x1000, low = kBase + 0x2000;
  put(kBase + kHead, as_node(top));
  put_node(top, 6);
  put_slot(top, 0, as_node(low));
  put_node(low, 0);
  put_slot(low, 4, 0xffffea0000001000);
  for (std::uint64_t slot = 5; slot < 8; ++slot) put_slot(low, slot, 4U << 2U | 2U);
  put_slot(low, 8, 0x15);
  put_slot(low, 9, 8U << 2U | 2U);
  put_slot(low, 10, 4U << 2U | 2U);  // not behind the slot that it names: damage
  put_slot(top, 8, 0xffffea0000008000);
  for (std::uint64_t slot = 9; slot < 16; ++slot) put_slot(top, slot, 8U << 2U | 2U);
  EXPECT_EQ(entries(types_, *reader_),
            (std::vector<XArrayEntry>{
                {4, 4, 0xffffea0000001000}, {8, 2, 0x15}, {512, 512, 0xffffea0000008000}}));
}

TEST_F(XArrayTest, SingleValueEntryNeedsNoNode) {
  put(kBase + kHead, 0x15);
  EXPECT_EQ(entries(types_, *reader_), (std::vector<XArrayEntry>{{0, 1, 0x15}}));
  EXPECT_TRUE(walk().empty());
}

}  // namespace
}  // namespace engram::kernel
