// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "image/image.h"
#include "image/test_images.h"

namespace engram::image {
namespace {

using test::TempFile;
using testing::HasSubstr;

std::vector<std::uint64_t> splits(std::uint64_t size) {
  std::vector<std::uint64_t> below;
  for (const auto& layout : live_layouts(size)) below.push_back(layout.below_4g);
  return below;
}

TEST(LiveLayouts, AllMachinesAgreeBelowTheSmallestHole) {
  EXPECT_EQ(splits(512 * kMiB), std::vector{512 * kMiB});
  EXPECT_EQ(splits(0xb0000000 - kPageSize), std::vector<std::uint64_t>{0xb0000000 - kPageSize});
}

TEST(LiveLayouts, Q35SplitsEarlierThanPc) {
  EXPECT_EQ(splits(0xb0000000), (std::vector<std::uint64_t>{0xb0000000, 2 * kGiB}));
  EXPECT_EQ(splits(0xe0000000 - kPageSize),
            (std::vector<std::uint64_t>{0xe0000000 - kPageSize, 2 * kGiB}));
  EXPECT_EQ(splits(0xe0000000), (std::vector<std::uint64_t>{3 * kGiB, 2 * kGiB}));
  EXPECT_EQ(splits(64 * kGiB), (std::vector<std::uint64_t>{3 * kGiB, 2 * kGiB}));
}

/// A sparse file of `size` bytes with a word at each GiB: the number of that GiB.
class LiveFile {
 public:
  explicit LiveFile(std::uint64_t size) : file_({}) {
    std::filesystem::resize_file(file_.path(), size);
    for (std::uint64_t at = 0; at < size; at += kGiB) write(at, at / kGiB + 1);
  }
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  void write(std::uint64_t offset, std::uint64_t word) const {
    std::fstream stream(path(), std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.write(reinterpret_cast<const char*>(&word), sizeof word);
  }

 private:
  TempFile file_;
};

TEST(LiveImage, HasTheRestOfTheFileBehindTheHole) {
  const LiveFile file(5 * kGiB);
  const auto image = Image::open_live(file.path()).value();
  EXPECT_TRUE(image.is_live());
  EXPECT_EQ(image.format(), "live");
  ASSERT_EQ(image.ranges().size(), 2U);
  EXPECT_EQ(image.memory().load_word(PhysAddr(2 * kGiB)), 3U);
  EXPECT_EQ(image.memory().load_word(PhysAddr(3 * kGiB)), std::nullopt);
  EXPECT_EQ(image.memory().load_word(PhysAddr(4 * kGiB)), 4U);
  EXPECT_EQ(image.memory().end(), PhysAddr(6 * kGiB));
}

TEST(LiveImage, IsSplitWhereTheUserSays) {
  const LiveFile file(5 * kGiB);
  const auto image = Image::open_live(file.path(), 1 * kGiB).value();
  EXPECT_EQ(image.memory().load_word(PhysAddr(0)), 1U);
  EXPECT_EQ(image.memory().load_word(PhysAddr(1 * kGiB)), std::nullopt);
  EXPECT_EQ(image.memory().load_word(PhysAddr(4 * kGiB)), 2U);
}

TEST(LiveImage, WithLessRamThanFitsHasNoHole) {
  const LiveFile file(1 * kGiB);
  const auto image = Image::open_live(file.path(), 2 * kGiB).value();
  ASSERT_EQ(image.ranges().size(), 1U);
  EXPECT_EQ(image.memory().end(), PhysAddr(1 * kGiB));
}

TEST(LiveImage, ShowsWhatIsWrittenWhileItIsOpen) {
  const LiveFile file(1 * kGiB);
  const auto image = Image::open_live(file.path()).value();
  EXPECT_EQ(image.memory().load_word(PhysAddr(0x1000)), 0U);
  file.write(0x1000, 0x1122334455667788);
  EXPECT_EQ(image.memory().load_word(PhysAddr(0x1000)), 0x1122334455667788U);
}

TEST(LiveImage, OfAnImpossibleLayoutIsRefused) {
  const LiveFile file(1 * kGiB);
  for (const std::uint64_t below : {std::uint64_t{0}, std::uint64_t{4097}, 4 * kGiB + kPageSize}) {
    const auto image = Image::open_live(file.path(), below);
    ASSERT_FALSE(image);
    EXPECT_THAT(image.error().text, HasSubstr("whole pages"));
  }
}

TEST(LiveImage, OfNoRamIsRefused) {
  const TempFile empty({});
  EXPECT_THAT(Image::open_live(empty.path()).error().text, HasSubstr("empty"));
  EXPECT_THAT(Image::open_live("/nowhere/ram").error().text, HasSubstr("/nowhere/ram"));
}

TEST(LiveImage, OfADumpIsNotLive) {
  const LiveFile file(1 * kGiB);
  EXPECT_FALSE(Image::open(file.path()).value().is_live());
}

}  // namespace
}  // namespace engram::image
