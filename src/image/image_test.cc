// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/scan.h"
#include "image/test_images.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

std::string error_of(const Buffer& bytes) {
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  return image ? "opened as " + image->format() : image.error().text;
}

TEST(Raw, OffsetIsAddress) {
  const Buffer bytes = pattern(kMiB, 1);
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "raw");
  EXPECT_EQ(image->path(), file.path());
  EXPECT_EQ(image->file_size(), kMiB);
  EXPECT_TRUE(image->notices().empty());
  EXPECT_EQ(image->facts().architecture, Architecture::unknown);
  EXPECT_EQ(image->memory().load_word(PhysAddr(0x1234)), load<std::uint64_t>(bytes, 0x1234));
  EXPECT_EQ(image->memory().load_word(PhysAddr(kMiB - 7)), std::nullopt);
}

TEST(Raw, ZerosAreData) {
  const TempFile file{Buffer(kMiB)};
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->memory().load_word(PhysAddr(0)), 0U);
}

TEST(Raw, PartOfAPageIsNoticed) {
  const TempFile file(pattern(kMiB + 100, 1));
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  ASSERT_EQ(image->notices().size(), 1U);
  EXPECT_THAT(image->notices()[0].text, HasSubstr("1048676 bytes are not a whole number of pages"));
  EXPECT_EQ(image->memory().present_bytes(), kMiB + 100);
}

TEST(Raw, RefusesWhatIsNoMemory) {
  EXPECT_THAT(error_of({}), HasSubstr("the file is empty"));
  EXPECT_THAT(error_of(pattern(kMiB - 1, 1)), HasSubstr("1048575 bytes are too few"));
  Buffer words;
  while (words.size() < 2 * kMiB) append(words, text("Grüße aus dem Speicher: 日本\r\n"));
  EXPECT_THAT(error_of(words), HasSubstr("text, not a memory image"));
  words[100] = std::byte{0};
  EXPECT_EQ(error_of(words), "opened as raw");
  words[100] = std::byte{0xC3};  // a two-byte character without its second byte
  EXPECT_EQ(error_of(words), "opened as raw");
}

TEST(Foreign, IsNamed) {
  const auto with_magic = [](std::string_view magic) {
    Buffer bytes = pattern(kMiB, 1);
    const Buffer head = text(magic);
    std::copy(head.begin(), head.end(), bytes.begin());
    return error_of(bytes);
  };
  EXPECT_THAT(with_magic("conectix"), HasSubstr("a VHD disk image: this format is not read"));
  EXPECT_THAT(with_magic("QFI\xfb"), HasSubstr("a qcow2 disk image"));
  EXPECT_THAT(with_magic("KDMV"), HasSubstr("a VMDK disk image"));
  EXPECT_THAT(with_magic("BZh"),
              HasSubstr("a bzip2 file: unpack it first: bzip2 -dc FILE > IMAGE"));
  EXPECT_EQ(with_magic("KDUMP!  "), "opened as raw");
}

TEST(Image, NamesTheFileThatIsMissing) {
  EXPECT_THAT(Image::open("/tmp/engram/no such file").error().text,
              HasSubstr("/tmp/engram/no such file"));
}

TEST(Image, SurvivesItsFileBeingCut) {
  const Buffer bytes = pattern(2 * kMiB, 1);
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  ASSERT_TRUE(file.cut(kMiB));

  Buffer to(2 * kMiB);
  const auto outcome = image->memory().read(PhysAddr(0), to);
  EXPECT_EQ(outcome.count, kMiB);
  EXPECT_EQ(outcome.stop, MemoryErrc::source_truncated);
  EXPECT_TRUE(std::equal(to.begin(), to.begin() + kMiB, bytes.begin()));
  EXPECT_EQ(image->memory().load_word(PhysAddr(kMiB - 4)), std::nullopt);
  EXPECT_EQ(image->memory().load_word(PhysAddr(kMiB)), std::nullopt);

  std::uint64_t seen = 0;
  guest::for_each_chunk(image->memory(), PhysAddr(0), PhysAddr(~0ULL), 0,
                        [&](PhysAddr start, Bytes chunk) {
                          EXPECT_EQ(start.value, seen);
                          seen += chunk.size();
                          return true;
                        });
  EXPECT_EQ(seen, kMiB);
}

TEST(Image, LivesOnInItsMemory) {
  const TempFile file(pattern(kMiB, 1));
  guest::Memory memory;
  {
    auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value());
    memory = image->memory();
  }
  EXPECT_EQ(memory.read_object<std::byte>(PhysAddr(0)), pattern(1, 1)[0]);
}

}  // namespace
}  // namespace engram::image
