// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/unicode.h"

#include <gtest/gtest.h>

#include <cstring>

#include "paging/test_memory.h"

namespace engram::kernel::windows {
namespace {

using paging::testing::TestMemory;

std::string converted(std::u16string_view text) {
  return to_utf8(std::as_bytes(std::span(text.data(), text.size())));
}

TEST(ToUtf8, KeepsWhatIsText) {
  EXPECT_EQ(converted(u""), "");
  EXPECT_EQ(converted(u"C:\\Windows"), "C:\\Windows");
  EXPECT_EQ(converted(u"gr\u00f6\u00dfe"), "gr\u00f6\u00dfe");
  EXPECT_EQ(converted(u"\u20ac\u2603\uffff"), "\u20ac\u2603\uffff");
  EXPECT_EQ(converted(u"\U00010000\U0001f600\U0010ffff"), "\U00010000\U0001f600\U0010ffff");
}

TEST(ToUtf8, ReplacesWhatIsNone) {
  EXPECT_EQ(converted({u"a\xd800z", 3}), "a\ufffdz");
  EXPECT_EQ(converted({u"\xdc00\xd800", 2}), "\ufffd\ufffd");
  EXPECT_EQ(converted({u"\xd83d\xd83d\xde00", 3}), "\ufffd\U0001f600");
}

TEST(ToUtf8, LeavesOutALastSingleByte) {
  const std::u16string_view text = u"ab";
  EXPECT_EQ(to_utf8(std::as_bytes(std::span(text.data(), text.size())).first(3)), "a");
}

class UnicodeStringTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kAt = 0x8000, kText = 0x9ffa;
  UnicodeStringTest() : memory_(64 * kPageSize), root_(memory_.new_table()) {
    for (const std::uint64_t page : {0x8000, 0x9000, 0xa000})
      memory_.map(root_, 4, VirtAddr(page), PhysAddr(page + 0x10000), kPageSize, 1);
    const std::u16string_view text = u"C:\\a.sys";
    std::memcpy(memory_.at(PhysAddr(kText + 0x10000)), text.data(), 2 * text.size());
  }

  std::optional<std::string> read(bool is_64_bit = true) {
    const guest::Memory memory = memory_.memory();
    const paging::AddressSpace space(memory, {}, root_);
    return unicode_string(Reader(space, diagnostics_), VirtAddr(kAt), "X.Name", is_64_bit);
  }

  TestMemory memory_;
  PhysAddr root_;
  Diagnostics diagnostics_;
};

TEST_F(UnicodeStringTest, IsReadAcrossPagesWithPointersOfEitherWidth) {
  memory_.put(PhysAddr(kAt + 0x10000), 16);
  memory_.put(PhysAddr(kAt + 0x10008), kText);
  EXPECT_EQ(read(), "C:\\a.sys");
  memory_.put(PhysAddr(kAt + 0x10000), kText << 32U | 16);
  EXPECT_EQ(read(false), "C:\\a.sys");
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(UnicodeStringTest, AnOddLengthIsReported) {
  memory_.put(PhysAddr(kAt + 0x10000), 5);
  memory_.put(PhysAddr(kAt + 0x10008), kText);
  EXPECT_EQ(read(), "C:");
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_EQ(diagnostics_.rows()[0].message, "5 bytes of UTF-16: one is left over");
}

TEST_F(UnicodeStringTest, TextThatIsNotThereIsReportedAndNothing) {
  memory_.put(PhysAddr(kAt + 0x10000), 0xfffe);
  memory_.put(PhysAddr(kAt + 0x10008), kText);
  EXPECT_EQ(read(), std::nullopt);
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_EQ(diagnostics_.rows()[0].address, kAt);
}

}  // namespace
}  // namespace engram::kernel::windows
