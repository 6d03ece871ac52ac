// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/interruption.h"
#include "kernel/linux/containers.h"
#include "kernel/linux/test_kernel_memory.h"

namespace engram::kernel {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kHole = 0x21000;

class ReaderTest : public KernelMemoryTest {
 protected:
  ReaderTest() : KernelMemoryTest(kHole) {}

  const Field<VirtAddr> link_{"object.link", 8, 8};
};

TEST_F(ReaderTest, ARequiredPointerThatIsNullIsReported) {
  put(kBase + 8, 0x1234);
  EXPECT_EQ(reader_->require(kBase, link_), VirtAddr(0x1234));
  EXPECT_EQ(reader_->require_at(kBase + 8, "root"), VirtAddr(0x1234));
  EXPECT_EQ(reader_->follow(kBase + 0x100, link_), std::nullopt);
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
  EXPECT_EQ(reader_->require(kBase + 0x100, link_), std::nullopt);
  EXPECT_EQ(reader_->require_at(kBase + 0x108, "root"), std::nullopt);
  const auto rows = diagnostics_.rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].component, "object.link");
  EXPECT_EQ(rows[0].address, (kBase + 0x100).value);
  EXPECT_THAT(rows[0].message, HasSubstr("NULL, where"));
  EXPECT_EQ(rows[1].component, "root");
}

TEST_F(ReaderTest, ARequiredPointerThatCannotBeReadIsReportedOnce) {
  EXPECT_EQ(reader_->require(kBase + kHole, link_), std::nullopt);
  EXPECT_EQ(reader_->require_at(kBase + kHole, "root"), std::nullopt);
  EXPECT_EQ(diagnostics_.rows().size(), 2U);
}

TEST_F(ReaderTest, AMemberThatTheKernelDoesNotHaveIsNoDamage) {
  const Field<VirtAddr> absent{"object.other", std::nullopt, 8};
  EXPECT_EQ(reader_->require(kBase, absent), std::nullopt);
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(ReaderTest, AnInterruptedWalkEndsAndLeavesNothingBehind) {
  put(kBase, (kBase + 0x1000).value);
  put(kBase + 0x1000, kBase.value);
  std::atomic<bool> flag = true;
  {
    const Interruptible now(flag);
    EXPECT_THROW((void)walk_list(*reader_, kBase, 0, "list"), Interrupted);
    EXPECT_THROW((void)reader_->get(kBase, link_), Interrupted);
    EXPECT_THROW((void)reader_->text_at(kBase, 8, "text"), Interrupted);
    EXPECT_THROW((void)reader_->text(kBase, TextField{"object.name", 0, 8}), Interrupted);
  }
  EXPECT_EQ(walk_list(*reader_, kBase, 0, "list").size(), 1U);
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

}  // namespace
}  // namespace engram::kernel
