// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "image/test_write.h"

namespace engram::image {
namespace {

using namespace test;
using testing::HasSubstr;

/// Each byte of [0, end): what it is, or nothing where it is not there.
std::vector<std::optional<std::byte>> all_bytes(const guest::Memory& memory, std::uint64_t end) {
  std::vector<std::optional<std::byte>> all;
  for (std::uint64_t at = 0; at < end; ++at) {
    const auto byte = memory.read_object<std::byte>(PhysAddr(at));
    all.push_back(byte ? std::optional(*byte) : std::nullopt);
  }
  return all;
}

TEST(WriteAvml, WhatIsReadableComesBackAndNothingElse) {
  const guest::Memory memory = odd_memory();
  const NewName name;
  const auto image = round_trip(name, "avml", memory);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "avml");
  EXPECT_TRUE(image->notices().empty());
  EXPECT_EQ(all_bytes(image->memory(), 0xA000), all_bytes(memory, 0xA000));
  EXPECT_FALSE(image->memory().read_object<std::byte>(PhysAddr(0x100000)).has_value());
}

TEST(WriteAvml, RangesLongerThanABlock) {
  constexpr std::uint64_t kSize = 300 * kMiB;
  const guest::Memory memory = memory_of({{PhysAddr(0x1000), kSize, Backing::zero, {}}}, Buffer());
  const NewName name;
  const auto image = round_trip(name, "avml", memory);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), kSize);
  ASSERT_EQ(image->ranges().size(), 2U);
  EXPECT_EQ(image->ranges().front().size, 256 * kMiB);
  EXPECT_EQ(image->memory().read_object<std::uint64_t>(PhysAddr(kSize + 0xFF8)), 0U);
}

/// Pages of all kinds, at addresses of which the first is not 0 and the last is beyond 4 GiB.
guest::Memory many_pages() {
  Buffer bytes = pattern(3000 * kPageSize, 5);
  for (std::size_t page = 0; page < 3000; page += 3) {  // such as can be packed
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page * kPageSize), 3000, std::byte{7});
  }
  for (std::size_t page = 100; page < 200; ++page) {
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page * kPageSize), kPageSize,
                std::byte{});
  }
  return memory_of({{PhysAddr(0x2000), 1000 * kPageSize, Backing::host, {}},
                    {PhysAddr(0x40000000), 1500 * kPageSize, Backing::host, {}},
                    {PhysAddr(0x50000000), 10 * kPageSize, Backing::zero, {}},
                    {PhysAddr(0x60000000), 2 * kPageSize, Backing::unreadable, {}},
                    {PhysAddr(0x140000000), 500 * kPageSize, Backing::host, {}}},
                   bytes);
}

TEST(WriteKdump, EachCodecGivesThePagesBack) {
  const guest::Memory memory = many_pages();
  Facts facts;
  facts.architecture = Architecture::x86_64;
  facts.vmcoreinfo = "OSRELEASE=6.12.0\nPAGESIZE=4096\nNUMBER(phys_base)=-4096\n";
  for (const std::string_view target : target_names()) {
    if (!target.starts_with("kdump")) continue;
    if (target == "kdump-lzo" && !can_unpack(Codec::lzo)) continue;
    SCOPED_TRACE(target);
    const NewName name;
    const auto image = round_trip(name, target, memory, facts);
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->format(), "kdump");
    EXPECT_EQ(image->facts().vmcoreinfo, facts.vmcoreinfo);
    EXPECT_EQ(image->memory().present_bytes(), memory.present_bytes());
    Buffer expected(kPageSize), found(kPageSize);
    for (const guest::Region& region : memory.regions()) {
      for (std::uint64_t at = 0; at < region.size; at += kPageSize) {
        const PhysAddr page = region.start + at;
        const bool there = memory.read(page, expected).complete();
        ASSERT_EQ(image->memory().read(page, found).complete(), there) << page.value;
        if (!there) continue;
        ASSERT_EQ(found, expected) << page.value;
      }
    }
    EXPECT_TRUE(image->page_problems().empty());
  }
}

TEST(WriteKdump, PagesWithGapsAreFilled) {
  const guest::Memory memory = memory_of({{PhysAddr(0x1800), 0x100, Backing::host, {}},
                                          {PhysAddr(0x1a00), 0x20, Backing::host, {}},
                                          {PhysAddr(0x3ff0), 0x20, Backing::host, {}}},
                                         pattern(0x140, 1));
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  const auto written = write_kdump(memory, {}, Codec::zlib, *sink);
  ASSERT_TRUE(written.has_value()) << written.error().text;
  ASSERT_TRUE(sink->finish().has_value());
  EXPECT_EQ(written->bytes, 0x140U);
  EXPECT_EQ(written->filled, 3 * kPageSize - 0x140);
  const auto image = Image::open(name.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), 3 * kPageSize);
  auto expected = all_bytes(memory, 0x6000);
  for (std::uint64_t at = 0; at < expected.size(); ++at) {
    const std::uint64_t page = at / kPageSize;
    if (page == 1 || page == 3 || page == 4) expected[at] = expected[at].value_or(std::byte{});
  }
  EXPECT_EQ(all_bytes(image->memory(), 0x6000), expected);
}

TEST(WriteKdump, PagesOfTheMachinesSizeAndByteOrder) {
  Facts facts;
  facts.machine = EM_S390;
  facts.byte_order = std::endian::big;
  facts.vmcoreinfo = "PAGESIZE=65536\n";
  const guest::Memory memory =
      memory_of({{PhysAddr(0x20000), 0x30000, Backing::host, {}}}, pattern(0x30000, 2));
  const NewName name;
  const auto image = round_trip(name, "kdump-zstd", memory, facts);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->facts().byte_order, std::endian::big);
  EXPECT_EQ(image->memory().present_bytes(), 0x30000U);
  Buffer expected(0x30000), found(0x30000);
  EXPECT_TRUE(memory.read(PhysAddr(0x20000), expected).complete());
  EXPECT_TRUE(image->memory().read(PhysAddr(0x20000), found).complete());
  EXPECT_EQ(found, expected);
}

TEST(WriteKdump, WhatTheFormatCannotHaveIsRefused) {
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  Facts facts;
  facts.machine = EM_386;
  const auto narrow = write_kdump(odd_memory(), facts, Codec::none, *sink);
  ASSERT_FALSE(narrow.has_value());
  EXPECT_THAT(narrow.error().text, HasSubstr("kdump: a 32-bit machine (ELF machine 3)"));
  const guest::Memory far =
      memory_of({{PhysAddr(1ULL << 46U), 0x1000, Backing::zero, {}}}, Buffer());
  const auto refused = write_kdump(far, {}, Codec::none, *sink);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text, HasSubstr("kdump: page 0x400000000 at 0x400000000000"));
}

}  // namespace
}  // namespace engram::image
