// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/avml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <snappy-c.h>

#include "image/crc32c.h"
#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_images.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

constexpr std::size_t kHeader = 32;
constexpr std::size_t kIdentifier = 10;
constexpr std::size_t kChunkData = kHeader + kIdentifier;  // the first chunk of a block

std::uint32_t masked(std::uint32_t crc) {
  return ((crc >> 15U) | (crc << 17U)) + 0xA282EAD8U;
}

void append_chunk(Buffer& file, const Buffer& data, bool compressed) {
  Buffer content = data;
  if (compressed) {
    std::size_t size = ::snappy_max_compressed_length(data.size());
    content.resize(size);
    ::snappy_compress(reinterpret_cast<const char*>(data.data()), data.size(),
                      reinterpret_cast<char*>(content.data()), &size);
    content.resize(size);
  }
  append(file, static_cast<std::uint32_t>((content.size() + 4) << 8U | (compressed ? 0U : 1U)));
  append(file, masked(crc32c(data)));
  append(file, content);
}

/// In chunks of `piece` bytes, every second one stored as it is.
void append_block(Buffer& file, std::uint64_t first, const Buffer& data,
                  std::size_t piece = 65536) {
  append_lime_header(file, first, first + data.size() - 1, 0x4C4D5641, 2);
  const std::size_t begin = file.size();
  append(file, text("\xff\x06"));
  file.resize(begin + 4);
  append(file, text("sNaPpY"));
  for (std::size_t at = 0; at < data.size(); at += piece) {
    const auto from = data.begin() + static_cast<std::ptrdiff_t>(at);
    const auto size = std::min(piece, data.size() - at);
    append_chunk(file, Buffer(from, from + static_cast<std::ptrdiff_t>(size)), at / piece % 2 == 0);
  }
  append(file, std::uint64_t{file.size() - begin});
}

/// Bytes of which half can be compressed.
Buffer memory_of(std::size_t size, std::uint32_t seed) {
  Buffer bytes = pattern(size, seed);
  for (std::size_t at = 0; at < size; ++at) {
    if (at / 64 % 2 == 1) bytes[at] = std::byte{0};
  }
  return bytes;
}

constexpr std::uint64_t kFirst = 0x1000, kSecond = 0x100000;
constexpr std::size_t kFirstSize = 0x25000, kSecondSize = 0x3000;

/// [0x1000, 0x25fff] in three chunks and [0x100000, 0x102fff] in one.
Buffer two_blocks() {
  Buffer file;
  append_block(file, kFirst, memory_of(kFirstSize, 1));
  append_block(file, kSecond, memory_of(kSecondSize, 2));
  return file;
}

std::size_t second_block() {
  Buffer file;
  append_block(file, kFirst, memory_of(kFirstSize, 1));
  return file.size();
}

TEST(Avml, ReadsBlocksToTheByte) {
  const TempFile file(two_blocks());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "avml");
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_FALSE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), kFirstSize + kSecondSize);
  const Buffer first = memory_of(kFirstSize, 1);
  Buffer to(kFirstSize);
  EXPECT_TRUE(image->memory().read(PhysAddr(kFirst), to).complete());
  EXPECT_EQ(to, first);
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{65535}, std::size_t{65536 - 4}, kFirstSize - 8}) {
    EXPECT_EQ(image->memory().read_object<std::uint32_t>(PhysAddr(kFirst + at)),
              load<std::uint32_t>(Bytes(first), at).value());
  }
  EXPECT_EQ(
      image->memory().read(PhysAddr(kFirst + kFirstSize - 4), MutableBytes(to).first(8)).count, 4U);
  EXPECT_FALSE(image->memory().read_object<std::byte>(PhysAddr(kFirst - 1)).has_value());
}

TEST(Avml, IsMixedWithLime) {
  Buffer bytes;
  append_lime_range(bytes, 0x200000, pattern(0x1000, 3));
  append_block(bytes, kFirst, memory_of(0x1234, 1), 1000);
  append_lime_range(bytes, 0x300000, pattern(0x1000, 4));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "lime");
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_EQ(image->ranges().size(), 3U);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr(0x300fff)), pattern(0x1000, 4).back());
  Buffer to(0x1234);
  EXPECT_TRUE(image->memory().read(PhysAddr(kFirst), to).complete());
  EXPECT_EQ(to, memory_of(0x1234, 1));
}

TEST(Avml, UnpacksEachChunkOnce) {
  const Buffer bytes = two_blocks();
  lime::Blocks blocks{FileView(bytes)};
  const auto added = blocks.add(PhysAddr(kFirst), kFirstSize, FileOffset(kHeader));
  ASSERT_EQ(added.size, kFirstSize);
  EXPECT_EQ(blocks.unpacked(), 0U);
  Buffer to(100);
  for (std::uint64_t at = 0; at + 100 <= kFirstSize; at += 100) {
    ASSERT_TRUE(added.block->read(PhysAddr(kFirst + at), to).complete());
  }
  EXPECT_EQ(blocks.unpacked(), 3U);
}

TEST(Avml, FirstOfOverlappingBlocksWins) {
  Buffer bytes;
  append_block(bytes, 0x2000, memory_of(0x1000, 1));
  append_block(bytes, 0x1000, memory_of(0x3000, 2));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  const auto at = [&](std::uint64_t address) {
    return image->memory().read_object<std::byte>(PhysAddr(address));
  };
  EXPECT_EQ(at(0x1000), memory_of(0x3000, 2)[0]);
  EXPECT_EQ(at(0x2000), memory_of(0x1000, 1)[0]);
  EXPECT_EQ(at(0x3000), memory_of(0x3000, 2)[0x2000]);
  EXPECT_THAT(notices_of(*image), HasSubstr("overlaps an earlier one"));
}

TEST(Avml, ADamagedChunkFailsWithAReasonAndTheOthersAreFine) {
  Buffer bytes = two_blocks();
  bytes[kChunkData + 1000] ^= std::byte{1};
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  Buffer to(kFirstSize);
  EXPECT_EQ(image->memory().read(PhysAddr(kFirst), to).stop, MemoryErrc::source_truncated);
  EXPECT_TRUE(image->memory().read_object<std::byte>(PhysAddr(kFirst + 65536)).has_value());
  ASSERT_EQ(image->page_problems().size(), 1U);
  EXPECT_THAT(image->page_problems()[0].text, HasSubstr("avml: the chunk at 0x2a "));
  EXPECT_EQ(image->page_problems()[0].address, PhysAddr(kFirst));
}

class AvmlDamage : public testing::TestWithParam<Damage> {};

TEST_P(AvmlDamage, IsNamedAndSurvived) {
  expect_named_and_survived(two_blocks(), GetParam());
}

const Damage kDamages[] = {
    {"CutInTheLength", [](Buffer& b) { b.resize(b.size() - 1); }, nullptr, "the length 0x", true},
    {"CutInTheLastChunk", [](Buffer& b) { b.resize(b.size() - 9); }, nullptr,
     "the file ends in the chunk at", true, kFirstSize},
    {"CutInTheSecondChunk", [](Buffer& b) { b.resize(kChunkData + 70000); }, nullptr,
     "avml: range 0 at 0x0: [0x1000, 0x25fff]: the file ends in the chunk at", true, 65536},
    {"CutInTheFirstChunk", [](Buffer& b) { b.resize(kChunkData + 10); },
     "avml: range 0 at 0x0: [0x1000, 0x25fff]: "},
    {"CutAfterTheHeader", [](Buffer& b) { b.resize(kHeader); },
     "the file ends in the chunk at 0x20"},
    {"Version", [](Buffer& b) { put(b, 4, 1U); }, "version 1, 2 is expected"},
    {"ChunkType", [](Buffer& b) { b[kChunkData] = std::byte{2}; }, "no chunk at 0x2a: type 0x2"},
    {"ChunkWithoutData", [](Buffer& b) { put(b, kChunkData, 0x400U); },
     "no chunk at 0x2a: type 0x0, 0x4 bytes"},
    {"ChunkOfNothing",
     [](Buffer& b) {
       put(b, kChunkData, std::uint64_t{0});
       b[kChunkData + 8] = std::byte{5};  // a small size: where the next chunk would begin
     },
     "no chunk at 0x2a: type 0x0, 0x0 bytes for 0x5"},
    {"HugeChunk", [](Buffer& b) { put(b, kChunkData, 0xFFFFFF00U); }, "no chunk at 0x2a"},
    {"MoreDataThanDeclared", [](Buffer& b) { put(b, 16, std::uint64_t{0x1fff}); },
     "the chunk at 0x2a has 0x10000 bytes, 0x1000 are left"},
    {"LengthOfTheFrames", [](Buffer& b) { put(b, second_block() - 8, std::uint64_t{1}); }, nullptr,
     "avml: range 0 at 0x0: at 0x", false},
    {"MagicOfTheSecond", [](Buffer& b) { put(b, second_block(), 0x12345678U); }, nullptr,
     "magic 0x12345678", false, kFirstSize},
};

INSTANTIATE_TEST_SUITE_P(Each, AvmlDamage, testing::ValuesIn(kDamages),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Crc32c, IsThatOfTheSpecification) {
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(Buffer(32)), 0x8A9136AAU);
  EXPECT_EQ(crc32c(Buffer(32, std::byte{0xFF})), 0x62A8AB43U);
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 4095U}) {
    const Buffer bytes = pattern(size, 5);
    EXPECT_EQ(crc32c(bytes), crc32c_portable(bytes)) << size;
  }
}

}  // namespace
}  // namespace engram::image
