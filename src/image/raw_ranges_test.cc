// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/raw_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_images.h"

namespace engram::image {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::vector<std::pair<std::uint64_t, std::uint64_t>> parsed(const char* text) {
  const auto ranges = parse_ranges(text);
  EXPECT_TRUE(ranges.has_value()) << ranges.error().text;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> bounds;
  if (!ranges) return bounds;
  for (const auto& range : *ranges) bounds.emplace_back(range.first().value, range.last().value);
  return bounds;
}

std::string problem(const char* text) {
  const auto ranges = parse_ranges(text);
  return ranges ? "" : ranges.error().text;
}

TEST(ParseRanges, TakesListsAndIomem) {
  EXPECT_THAT(parsed("0x1000-0x9fbff,100000-1fffff"),
              ElementsAre(Pair(0x1000, 0x9fbff), Pair(0x100000, 0x1fffff)));
  EXPECT_THAT(parsed(" 0 - 0 ;\n 2-ffffffffffffffff \n"), ElementsAre(Pair(0, 0), Pair(2, ~0ULL)));
  EXPECT_THAT(parsed("00000000-00000fff : Reserved\n"
                     "00001000-0009fbff : System RAM\n"
                     "000f0000-000fffff : System ROM\n"
                     "00100000-1ffdefff : System RAM\n"
                     "  01000000-01ffffff : Kernel code\n"),
              ElementsAre(Pair(0x1000, 0x9fbff), Pair(0x100000, 0x1ffdefff)));
}

TEST(ParseRanges, SaysWhatIsNone) {
  EXPECT_THAT(problem("1000"), HasSubstr("\"1000\" is no range"));
  EXPECT_THAT(problem("2000-1000"), HasSubstr("is no range"));
  EXPECT_THAT(problem("0-ffffffffffffffff"), HasSubstr("is no range"));
  EXPECT_THAT(problem("0-10000000000000000"), HasSubstr("is no range"));
  EXPECT_THAT(problem("0-10x"), HasSubstr("is no range"));
  EXPECT_THAT(problem("1000-1fff,1fff-2fff"), HasSubstr("0x1fff does not lie above"));
  EXPECT_THAT(problem("00000000-00000000 : System RAM\n00000000-00000000 : System RAM\n"),
              HasSubstr("only root sees"));
  EXPECT_THAT(problem(" ,\n"), HasSubstr("none was given"));
}

class RawRanges : public testing::Test {
 protected:
  static Result<Image> open(const Buffer& bytes, const char* ranges) {
    const TempFile file(bytes);
    OpenOptions options;
    options.ranges = parse_ranges(ranges).value();
    return Image::open(file.path(), options);
  }
  static std::optional<std::byte> at(const Image& image, std::uint64_t address) {
    const auto found = image.memory().read_object<std::byte>(PhysAddr(address));
    return found ? std::optional(*found) : std::nullopt;
  }
};

TEST_F(RawRanges, LieOneAfterTheOther) {
  const Buffer bytes = pattern(0x3000, 1);
  const auto image = open(bytes, "1000-1fff,100000-101fff");
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), 0x3000U);
  EXPECT_EQ(at(*image, 0x1000), bytes[0]);
  EXPECT_EQ(at(*image, 0x100000), bytes[0x1000]);
  EXPECT_EQ(at(*image, 0x101fff), bytes[0x2fff]);
  EXPECT_EQ(at(*image, 0x0fff), std::nullopt);
  EXPECT_EQ(at(*image, 0x2000), std::nullopt);
}

TEST_F(RawRanges, OrAtTheirAddresses) {
  const Buffer bytes = pattern(0x6000, 1);
  const auto image = open(bytes, "1000-1fff,4000-4fff");
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), 0x2000U);
  EXPECT_EQ(at(*image, 0x4000), bytes[0x4000]);
  EXPECT_EQ(at(*image, 0x2000), std::nullopt);
  EXPECT_EQ(at(*image, 0x5000), std::nullopt);
}

TEST_F(RawRanges, DoNotFitAnyFile) {
  const auto neither = open(pattern(0x2001, 1), "1000-1fff,4000-4fff");
  ASSERT_FALSE(neither.has_value());
  EXPECT_THAT(neither.error().text, HasSubstr("the file has 0x2001 bytes, which is neither"));
  const auto headed = open(elf_file({{PT_LOAD, 0x1000, pattern(0x1000, 1)}}), "1000-1fff");
  ASSERT_FALSE(headed.has_value());
  EXPECT_THAT(headed.error().text, HasSubstr("this one has its own"));
}

}  // namespace
}  // namespace engram::image
