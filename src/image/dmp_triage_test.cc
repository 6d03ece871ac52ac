// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_dmp.h"
#include "image/triage.h"

namespace engram::image {
namespace {

using namespace test;
using testing::HasSubstr;

/// With a list of one driver, and nothing else.
Buffer small_dump() {
  Buffer bytes = dmp_header64(4, 0x2120);
  bytes.resize(0x2080);
  put(bytes, 0x2008, 0x211CU);  // where the mark lies
  put(bytes, 0x2030, 0x2080U);  // the list of drivers
  put(bytes, 0x2034, 1U);
  put(bytes, 0x2080, 0x2110U);  // its name
  put(bytes, 0x20B8, std::uint64_t{0xfffff80512340000});
  put(bytes, 0x20C0, std::uint64_t{0xfffff80512341000});
  put(bytes, 0x20C8, 0x6000U);
  put(bytes, 0x2108, 0x5e0a0001U);
  put(bytes, 0x2110, 3U);
  put(bytes, 0x2114, u'a');
  put(bytes, 0x2116, u'.');
  put(bytes, 0x2118, u's');
  put(bytes, 0x211C, 0x44475254U);
  return bytes;
}

TEST(DmpTriage, HasListsAndNoMemory) {
  const auto image = open_dump(small_dump());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), 0U);
  EXPECT_FALSE(image->truncated());
  EXPECT_TRUE(image->notices().empty()) << notices_of(*image);
  ASSERT_TRUE(image->facts().triage.has_value());
  ASSERT_EQ(image->facts().triage->drivers.size(), 1U);
  const TriageDriver& driver = image->facts().triage->drivers[0];
  EXPECT_EQ(driver.base, VirtAddr(0xfffff80512340000));
  EXPECT_EQ(driver.entry_point, VirtAddr(0xfffff80512341000));
  EXPECT_EQ(driver.size, 0x6000U);
  EXPECT_EQ(driver.timestamp, 0x5e0a0001U);
  EXPECT_EQ(driver.name.size(), 6U);
  ASSERT_TRUE(image->facts().crash.has_value());
}

TEST(DmpTriage, IsUsedUpToItsCut) {
  Buffer bytes = small_dump();
  bytes.resize(0x2118);
  const auto without_mark = open_dump(bytes);
  ASSERT_TRUE(without_mark.has_value()) << without_mark.error().text;
  EXPECT_TRUE(without_mark->truncated());
  EXPECT_THAT(notices_of(*without_mark), HasSubstr("TRGD at 0x211c, is not there: it was cut"));
  bytes.resize(0x20FF);
  const auto in_the_list = open_dump(bytes);
  ASSERT_TRUE(in_the_list.has_value()) << in_the_list.error().text;
  EXPECT_TRUE(in_the_list->facts().triage->drivers.empty());
  EXPECT_THAT(notices_of(*in_the_list), HasSubstr("driver 0 of 1 at 0x2080: the file ends"));
  bytes.resize(0x207F);
  const auto in_the_header = open_dump(bytes);
  ASSERT_FALSE(in_the_header.has_value());
  EXPECT_THAT(in_the_header.error().text, HasSubstr("inside the header of a small dump"));
}

TEST(DmpTriage, WithNonsense) {
  Buffer bytes = small_dump();
  put(bytes, 0x2034, 0xffffffffU);  // drivers
  put(bytes, 0x2018, 0xfffffff0U);  // unloaded drivers
  put(bytes, 0x2078, 0x2000U);      // blocks
  put(bytes, 0x207C, 0xffffffffU);
  const auto image = open_dump(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->facts().triage->drivers.size(), 1U);
  EXPECT_LE(image->facts().triage->pieces.size(), bytes.size() / 16);
}

/// Adds a block of virtual memory, whose bytes are the first of the file, behind the table at
/// `table`.
void add_block(Buffer& bytes, std::uint64_t address, std::uint32_t at, std::uint32_t size) {
  append(bytes, address);
  append(bytes, at);
  append(bytes, size);
}

TEST(DmpTriage, HasPiecesOfVirtualMemory) {
  Buffer bytes = small_dump();
  const auto table = static_cast<std::uint32_t>(bytes.size());
  add_block(bytes, 0xfffff80500000000, 0x2000, 0x20);
  add_block(bytes, 0xfffff80500000010, 0x2080, 0x20);  // its first half is that of the block before
  add_block(bytes, 0xffffffffffffffff, 0x2000, 16);    // 15 of them are behind the last address
  add_block(bytes, 0x1000, table, 0x1000);             // cut
  add_block(bytes, 0x9000, 0xfffffff0, 0x1000);        // not in the file
  put(bytes, 0x2078, table);
  put(bytes, 0x207C, 5U);
  const auto image = open_dump(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), 0U);
  const TriageDump& dump = *image->facts().triage;
  EXPECT_EQ(dump.pieces.size(), 4U);
  EXPECT_EQ(dump.memory.present_bytes(), 0x30U + 1 + 5 * 16);
  Buffer found(0x30);
  EXPECT_TRUE(dump.memory.read(PhysAddr(0xfffff80500000000), found).complete());
  Buffer expected(bytes.begin() + 0x2000, bytes.begin() + 0x2020);
  expected.insert(expected.end(), bytes.begin() + 0x2090, bytes.begin() + 0x20A0);
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(image->truncated());
  EXPECT_THAT(notices_of(*image), HasSubstr("block of 16 bytes for 0xffffffffffffffff"));
}

TEST(DmpTriage, OfManyBlocksIsBounded) {
  Buffer bytes = small_dump();
  put(bytes, 0x2078, static_cast<std::uint32_t>(bytes.size()));
  put(bytes, 0x207C, 1U << 20U);
  for (std::uint64_t i = 0; i < 1U << 20U; ++i)
    add_block(bytes, 0xfffff80000000000 + i * 8, 0x2000, 0x7fffffff);
  const auto image = open_dump(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->facts().triage->pieces.size(), 1U << 16U);
  EXPECT_THAT(notices_of(*image), HasSubstr("1048576 blocks at"));
}

}  // namespace
}  // namespace engram::image
