// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_images.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

constexpr std::size_t kHeader = 32;
constexpr std::size_t kSecond = kHeader + 0x1000;  // where the second header lies

/// [0x1000, 0x1fff] and [0x100000, 0x1017ff].
Buffer two_ranges() {
  Buffer file;
  append_lime_range(file, 0x1000, pattern(0x1000, 1));
  append_lime_range(file, 0x100000, pattern(0x1800, 2));
  return file;
}

TEST(Lime, ReadsRangesToTheByte) {
  const TempFile file(two_ranges());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "lime");
  EXPECT_FALSE(image->truncated());
  EXPECT_EQ(notices_of(*image), "");
  ASSERT_EQ(image->ranges().size(), 2U);
  EXPECT_EQ(vector_of(image->ranges())[1].offset.value, kSecond + kHeader);
  EXPECT_EQ(vector_of(image->ranges())[1].readable, 0x1800U);

  const auto& memory = image->memory();
  EXPECT_EQ(memory.present_bytes(), 0x2800U);
  EXPECT_EQ(memory.read_object<std::byte>(PhysAddr(0x1000)), pattern(0x1000, 1).front());
  EXPECT_EQ(memory.read_object<std::byte>(PhysAddr(0x1fff)), pattern(0x1000, 1).back());
  EXPECT_EQ(memory.read_object<std::byte>(PhysAddr(0x1017ff)), pattern(0x1800, 2).back());
  for (const std::uint64_t hole : {0x0fffULL, 0x2000ULL, 0xfffffULL, 0x101800ULL}) {
    EXPECT_FALSE(memory.read_object<std::byte>(PhysAddr(hole)).has_value()) << hole;
  }
  Buffer to(0x100);
  const auto outcome = memory.read(PhysAddr(0x1f80), to);
  EXPECT_EQ(outcome.count, 0x80U);
  EXPECT_EQ(outcome.stop, MemoryErrc::invalid_guest_address);
}

TEST(Lime, TakesRangesInAnyOrder) {
  Buffer bytes;
  append_lime_range(bytes, 0x100000, pattern(0x1000, 2));
  append_lime_range(bytes, 0x1000, pattern(0x1000, 1));
  append_lime_range(bytes, ~0ULL, pattern(1, 3));
  append_lime_range(bytes, 0x5000, pattern(1, 4));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(0x1000)), pattern(1, 1)[0]);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(~0ULL)), pattern(1, 3)[0]);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(0x5000)), pattern(1, 4)[0]);
}

class LimeDamage : public testing::TestWithParam<Damage> {};

TEST_P(LimeDamage, IsNamedAndSurvived) {
  expect_named_and_survived(two_ranges(), GetParam());
}

const Damage kDamages[] = {
    {"CutByOneByte", [](Buffer& b) { b.resize(b.size() - 1); }, nullptr,
     "lime: range 1 at 0x1020: [0x100000, 0x1017ff]: the file ends 1 bytes before", true, 0x27ff},
    {"CutByAPage", [](Buffer& b) { b.resize(b.size() - 0x1000); }, nullptr, "4096 bytes before",
     true, 0x1800},
    {"CutAfterASecondHeader", [](Buffer& b) { b.resize(kSecond + kHeader); }, nullptr,
     "range 1 at 0x1020: [0x100000, 0x1017ff]: the file ends 6144 bytes before", true, 0x1000},
    {"CutInTheSecondHeader", [](Buffer& b) { b.resize(kSecond + 31); }, nullptr,
     "lime: range 1 at 0x1020: 31 bytes are left, a header of 32 bytes is expected", true, 0x1000},
    {"CutInTheFirstHeader", [](Buffer& b) { b.resize(31); },
     "lime: range 0 at 0x0: 31 bytes are left, a header of 32 bytes is expected"},
    {"CutAfterTheFirstHeader", [](Buffer& b) { b.resize(kHeader); },
     "the file ends 4096 bytes before"},
    {"MagicOfTheSecond", [](Buffer& b) { put(b, kSecond, 0x12345678U); }, nullptr,
     "lime: range 1 at 0x1020: magic 0x12345678, 0x4c694d45 is expected", false, 0x1000},
    {"AvmlBlock", [](Buffer& b) { put(b, kSecond, 0x4C4D5641U); }, nullptr,
     "lime: range 1 at 0x1020: version 1, 2 is expected", false, 0x1000},
    {"VersionOfTheFirst", [](Buffer& b) { put(b, 4, 2U); },
     "lime: range 0 at 0x0: version 2, 1 is expected"},
    {"VersionOfTheSecond", [](Buffer& b) { put(b, kSecond + 4, 0U); }, nullptr,
     "version 0, 1 is expected", false, 0x1000},
    {"LastBeforeFirst", [](Buffer& b) { put(b, 16, std::uint64_t{0}); },
     "lime: range 0 at 0x0: last byte 0x0 lies before the first byte 0x1000"},
    {"LastBeforeFirstInTheSecond", [](Buffer& b) { put(b, kSecond + 16, std::uint64_t{0}); },
     nullptr, "last byte 0x0 lies before the first byte 0x100000", false, 0x1000},
    {"WholeAddressSpace",
     [](Buffer& b) {
       put(b, 8, std::uint64_t{0});
       put(b, 16, ~std::uint64_t{0});
     },
     "it spans the whole address space"},
    {"EndOfTheAddressSpace", [](Buffer& b) { put(b, kSecond + 16, ~std::uint64_t{0}); }, nullptr,
     "the file ends 18446744073708496896 bytes before", true, 0x2800},
    {"Overlap",
     [](Buffer& b) {
       put(b, kSecond + 8, std::uint64_t{0x1800});
       put(b, kSecond + 16, std::uint64_t{0x2fff});
     },
     nullptr, "lime: range [0x1800, 0x2fff] overlaps an earlier one", false, 0x2000},
    {"BytesAfterTheEnd", [](Buffer& b) { b.resize(b.size() + 100); }, nullptr,
     "lime: range 2 at 0x2840: magic 0x0, 0x4c694d45 is expected", false, 0x2800},
};

INSTANTIATE_TEST_SUITE_P(Each, LimeDamage, testing::ValuesIn(kDamages),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Lime, FirstOfOverlappingRangesWins) {
  Buffer bytes;
  append_lime_range(bytes, 0x2000, pattern(0x1000, 1));
  append_lime_range(bytes, 0x1800, pattern(0x2000, 2));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  const auto at = [&](std::uint64_t address) {
    return image->memory().read_object<std::byte>(PhysAddr(address));
  };
  EXPECT_EQ(at(0x1800), pattern(0x2000, 2)[0]);
  EXPECT_EQ(at(0x2000), pattern(0x1000, 1)[0]);
  EXPECT_EQ(at(0x2fff), pattern(0x1000, 1)[0xfff]);
  EXPECT_EQ(at(0x3000), pattern(0x2000, 2)[0x1800]);
}

TEST(Lime, RangeWithoutDataIsZero) {
  Buffer bytes;
  append_lime_header(bytes, 0x1000, 0x2fff);
  append_lime_range(bytes, 0x10000, pattern(0x1000, 1));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_THAT(notices_of(*image), HasSubstr("[0x1000, 0x2fff] is not stored; taken as zeros"));
  EXPECT_FALSE(image->truncated());
  EXPECT_EQ(image->memory().load_word(PhysAddr(0x2000)), 0U);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(0x10000)), pattern(1, 1)[0]);
}

TEST(Lime, DumpOfADumpIsData) {
  // A page of guest memory that begins with a LiME header: the page cache of such a file.
  Buffer page = pattern(0x1000, 1);
  Buffer header;
  append_lime_header(header, 0x100000, 0x100fff);
  std::copy(header.begin(), header.end(), page.begin());
  Buffer bytes;
  append_lime_range(bytes, 0x1000, page);
  append_lime_range(bytes, 0x5000, pattern(0x1000, 2));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_EQ(image->ranges().size(), 2U);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(0x1000)), page[0]);
}

TEST(Lime, ManyTinyRanges) {
  Buffer bytes;
  constexpr std::uint64_t kCount = 100'000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    append_lime_header(bytes, i * 2, i * 2);
    append(bytes, static_cast<std::byte>(i));
  }
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->memory().present_bytes(), kCount);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(2UL * 77'777)),
            static_cast<std::byte>(77'777 % 256));
}

}  // namespace
}  // namespace engram::image
