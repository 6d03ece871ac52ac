// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/hash_chains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/linux/test_kernel_memory.h"
#include "types/test_btf.h"

namespace engram::kernel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kHole = 0x21000;  ///< a page at kBase + kHole is not mapped

/// 1 MiB of kernel memory at kBase with a hole of one page, and nothing behind it.
class HashChainsTest : public KernelMemoryTest {
 protected:
  HashChainsTest() : KernelMemoryTest(kHole) {}

  std::vector<std::uint64_t> walk(std::uint64_t offset, std::uint64_t count, std::uint64_t stride) {
    std::vector<std::uint64_t> found;
    HashChains(*reader_, "table").table(kBase + offset, count, stride, [&](VirtAddr node) {
      found.push_back(node - kBase);
    });
    return found;
  }
};

TEST_F(HashChainsTest, ChainsEndInNullOrInAnOddWord) {
  put(kBase, (kBase + 0x1000).value);
  put(kBase + 0x1000, (kBase + 0x1100).value);
  put(kBase + 0x1100, 0);
  put(kBase + 24, 0x15);  // an empty chain of nulls
  put(kBase + 48, (kBase + 0x1200).value);
  put(kBase + 0x1200, 0x17);
  EXPECT_THAT(walk(0, 3, 24), ElementsAre(0x1000, 0x1100, 0x1200));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(HashChainsTest, AVisitorThatHasEnoughIsNotCalledAgain) {
  put(kBase, (kBase + 0x1000).value);
  put(kBase + 0x1000, (kBase + 0x1100).value);
  put(kBase + 0x1100, 0);
  put(kBase + 8, (kBase + 0x1200).value);
  put(kBase + 0x1200, 0);
  std::vector<std::uint64_t> found;
  HashChains chains(*reader_, "table");
  const auto visit = [&](VirtAddr node) {
    found.push_back(node - kBase);
    chains.stop();
  };
  chains.table(kBase, 2, 8, visit);
  chains.chain(kBase + 0x1200, visit);
  EXPECT_THAT(found, ElementsAre(0x1000));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(HashChainsTest, TablesOfSeveralBlocksAreReadWhole) {
  constexpr std::uint64_t kCount = 3 * 64 * kKiB / 24;  // three blocks; heads cross their borders
  constexpr std::uint64_t kTable = 0x40000;
  std::vector<std::uint64_t> nodes;
  for (std::uint64_t head = 0; head < kCount; head += 100) {
    const std::uint64_t node = 0x1000 + head / 100 * 64;
    put(kBase + kTable + head * 24, (kBase + node).value);
    nodes.push_back(node);
  }
  EXPECT_EQ(walk(kTable, kCount, 24), nodes);
}

TEST_F(HashChainsTest, APageOfHeadsThatIsNotThereLosesThatPageOnly) {
  put(kBase + 0x20ff8, (kBase + 0x1000).value);
  put(kBase + 0x22000, (kBase + 0x1100).value);
  EXPECT_THAT(walk(0x20000, 3 * kPageSize / 8, 8), ElementsAre(0x1000, 0x1100));
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_THAT(diagnostics_.rows()[0].message, HasSubstr("not present"));
}

TEST_F(HashChainsTest, ALoopEndsItsChainAndIsReportedOnce) {
  for (std::uint64_t head = 0; head < 50; ++head) put(kBase + head * 8, (kBase + 0x1000).value);
  put(kBase + 0x1000, (kBase + 0x1100).value);
  put(kBase + 0x1100, (kBase + 0x1000).value);
  put(kBase + 50 * 8, (kBase + 0x1200).value);
  EXPECT_THAT(walk(0, 51, 8), ElementsAre(0x1000, 0x1100, 0x1200));
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_THAT(diagnostics_.rows()[0].message, HasSubstr("twice"));
}

TEST_F(HashChainsTest, ANodeThatCannotBeReadIsNone) {
  put(kBase, (kBase + 0x1000).value);
  put(kBase + 0x1000, (kBase + kDataSize).value);
  put(kBase + 8, 0x1234567890abcdee);
  EXPECT_THAT(walk(0, 2, 8), ElementsAre(0x1000));
  EXPECT_EQ(diagnostics_.rows().size(), 2U);
}

TEST_F(HashChainsTest, ACountThatIsTooGreatReadsNothing) {
  put(kBase, (kBase + 0x1000).value);
  EXPECT_THAT(walk(0, HashChains::kHeadLimit + 1, 8), IsEmpty());
  EXPECT_THAT(walk(0, std::uint64_t{1} << 63U, 8), IsEmpty());
  EXPECT_THAT(walk(0, 1, 0), IsEmpty());
  EXPECT_EQ(diagnostics_.rows().size(), 3U);
}

/// struct rhashtable { struct bucket_table *tbl; }, struct bucket_table { u32 size, nest;
/// struct bucket_table *future_tbl; struct rhash_lock_head *buckets[]; }.
class RhashtableTest : public HashChainsTest {
 protected:
  static types::TypeDb make_types() {
    types::testing::BtfWriter writer;
    const auto word = writer.integer("unsigned int", 4);
    const auto pointer = writer.pointer(0);
    const auto buckets = writer.array(pointer, 0);
    writer.structure("rhashtable", 8, {{"tbl", pointer, 0}});
    writer.structure("bucket_table", 16,
                     {{"size", word, 0},
                      {"nest", word, 32},
                      {"future_tbl", pointer, 64},
                      {"buckets", buckets, 128}});
    return types::TypeDb::from_btf(writer.bytes()).value();
  }

  void put_table(VirtAddr table, std::uint32_t size, std::uint32_t nest, VirtAddr future) {
    put(table, std::uint64_t{nest} << 32U | size);
    put(table + 8, future.value);
  }

  std::vector<std::uint64_t> walk_table() {
    std::vector<std::uint64_t> found;
    RhashtableWalker(types_, *reader_).walk(kBase, "hash", [&](VirtAddr node) {
      found.push_back(node - kBase);
    });
    return found;
  }

  types::TypeDb types_ = make_types();
};

TEST_F(RhashtableTest, LockBitsAreNoPartOfPointersAndBothTablesOfAResizeAreRead) {
  const VirtAddr old_table = kBase + 0x1000, new_table = kBase + 0x2000;
  put(kBase, old_table.value);
  put_table(old_table, 4, 0, new_table);
  put(old_table + 16, (kBase + 0x3000).value + 1);  // locked
  put(old_table + 24, 1);                           // locked, and empty
  put(kBase + 0x3000, (kBase + 0x3100).value);
  put(kBase + 0x3100, 0x1001);
  put_table(new_table, 2, 0, VirtAddr(0));
  put(new_table + 24, (kBase + 0x3200).value);
  put(kBase + 0x3200, 0x2001);
  EXPECT_THAT(walk_table(), ElementsAre(0x3000, 0x3100, 0x3200));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(RhashtableTest, NestedTablesAreTreesOfPages) {
  // 4 * 1024 buckets: four entries, each with two pages below one of 512 entries.
  const VirtAddr table = kBase + 0x1000, top = kBase + 0x2000, middle = kBase + 0x3000,
                 leaf = kBase + 0x4000;
  put(kBase, table.value);
  put_table(table, 4096, 2, VirtAddr(0));
  put(table + 16, top.value);
  put(top + 3 * 8, middle.value);
  put(middle + 511 * 8, leaf.value);
  put(leaf + 8, (kBase + 0x5000).value);
  put(leaf + 16, (kBase + 0x5100).value);  // behind the two buckets of a leaf
  put(kBase + 0x5000, 1);
  EXPECT_THAT(walk_table(), ElementsAre(0x5000));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(RhashtableTest, DamagedSizesAndEndlessResizesEnd) {
  const VirtAddr table = kBase + 0x1000;
  put(kBase, table.value);
  put_table(table, 2, 0, table);  // its own successor
  put(table + 16, (kBase + 0x3000).value);
  put(kBase + 0x3000, 1);
  EXPECT_THAT(walk_table(), ElementsAre(0x3000));
  put_table(table, 0xffffffff, 0, VirtAddr(0));
  EXPECT_THAT(walk_table(), IsEmpty());
  put_table(table, 16, 40, VirtAddr(0));
  EXPECT_THAT(walk_table(), IsEmpty());
  EXPECT_EQ(diagnostics_.rows().size(), 3U);
}

}  // namespace
}  // namespace engram::kernel
