// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/rb_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/linux/test_kernel_memory.h"
#include "types/test_btf.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kRight = 8, kLeft = 16;

class RbTreeTest : public KernelMemoryTest {
 protected:
  static types::TypeDb make_types() {
    types::testing::BtfWriter writer;
    const auto pointer = writer.pointer(0);
    writer.structure("rb_node", 24,
                     {{"rb_right", pointer, kRight * 8}, {"rb_left", pointer, kLeft * 8}});
    return types::TypeDb::from_btf(writer.bytes()).value();
  }

  void put_node(VirtAddr node, VirtAddr left, VirtAddr right) {
    put(node + kLeft, left.value);
    put(node + kRight, right.value);
  }
  std::vector<VirtAddr> walk(std::optional<VirtAddr> root, std::size_t limit = 100) {
    return RbTreeWalker(types_, *reader_).walk(root, "tree", limit);
  }

  types::TypeDb types_ = make_types();
  const VirtAddr top_ = kBase + 0x100, low_ = kBase + 0x200, high_ = kBase + 0x300;
};

TEST_F(RbTreeTest, GivesNodesInOrder) {
  put_node(top_, low_, high_);
  put_node(low_, VirtAddr(), VirtAddr());
  put_node(high_, VirtAddr(), VirtAddr());
  EXPECT_EQ(walk(top_), (std::vector{low_, top_, high_}));
  EXPECT_TRUE(walk(std::nullopt).empty());
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(RbTreeTest, EndsWhereItComesBackOrDoesNotEnd) {
  put_node(top_, low_, high_);
  put_node(low_, VirtAddr(), VirtAddr());
  put_node(high_, VirtAddr(), top_);
  EXPECT_EQ(walk(top_), (std::vector{low_, top_, high_}));
  EXPECT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_EQ(walk(top_, 2), (std::vector{low_, top_}));
}

TEST_F(RbTreeTest, DoesNotGoDownWithoutEnd) {
  for (std::uint64_t i = 0; i < 1000; ++i) {
    put_node(kBase + i * 32, kBase + (i + 1) * 32, VirtAddr());
  }
  EXPECT_TRUE(walk(kBase, 10000).empty());
  EXPECT_EQ(diagnostics_.rows().size(), 1U);
}

TEST_F(RbTreeTest, LeavesOutWhatCannotBeRead) {
  put_node(top_, low_, kBase + kDataSize);
  put_node(low_, VirtAddr(), VirtAddr());
  EXPECT_EQ(walk(top_), (std::vector{low_, top_}));
  EXPECT_FALSE(diagnostics_.rows().empty());
}

}  // namespace
}  // namespace engram::kernel
