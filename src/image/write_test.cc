// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/write.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include "image/test_images.h"

namespace engram::image {
namespace {

using namespace test;
using guest::Backing;
using guest::Region;
using testing::HasSubstr;

/// A name in the folder for temporary files that nothing has; what gets it is removed at the end.
class NewName {
 public:
  NewName() {
    const TempFile taken{Buffer()};
    name_ = taken.path() + ".new";
  }
  NewName(const NewName&) = delete;
  NewName& operator=(const NewName&) = delete;
  ~NewName() { std::filesystem::remove(name_); }
  [[nodiscard]] const std::string& path() const { return name_; }

 private:
  std::string name_;
};

/// Host bytes that live as long as the memory.
guest::Memory memory_of(std::vector<Region> regions, const Buffer& bytes) {
  const auto owner = std::make_shared<const Buffer>(bytes);
  std::uint64_t at = 0;
  for (Region& region : regions) {
    if (region.backing != Backing::host) continue;
    region.host = owner->data() + at;
    at += region.size;
  }
  auto memory = guest::Memory::create(std::move(regions), owner);
  EXPECT_TRUE(memory.has_value());
  return std::move(*memory);
}

/// [0x1800, 0x2fff] of bytes and zeros, then [0x3000, 0x3fff] said to be zero; [0x9000, 0x9000];
/// [0x100000, 0x100fff] unreadable.
guest::Memory odd_memory() {
  Buffer bytes = pattern(0x1801, 1);
  std::fill(bytes.begin() + 0x800, bytes.begin() + 0x1800, std::byte{});
  return memory_of({{PhysAddr(0x1800), 0x1800, Backing::host, {}},
                    {PhysAddr(0x3000), 0x1000, Backing::zero, {}},
                    {PhysAddr(0x9000), 1, Backing::host, {}},
                    {PhysAddr(0x100000), 0x1000, Backing::unreadable, {}}},
                   bytes);
}

using Writer = Result<Written> (*)(const guest::Memory&, Sink&);
Result<Written> as_elf(const guest::Memory& memory, Sink& sink) {
  Facts facts;
  facts.architecture = Architecture::x86_64;
  return write_elf(memory, facts, sink);
}
constexpr std::pair<const char*, Writer> kWriters[] = {{"lime", write_lime}, {"elf", as_elf}};

TEST(Write, WhatIsReadableComesBackAndNothingElse) {
  const guest::Memory memory = odd_memory();
  for (const auto& [format, write] : kWriters) {
    SCOPED_TRACE(format);
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value()) << sink.error().text;
    const auto written = write(memory, *sink);
    ASSERT_TRUE(written.has_value()) << written.error().text;
    ASSERT_TRUE(sink->finish().has_value());
    EXPECT_EQ(written->ranges, 2U);
    EXPECT_EQ(written->bytes, 0x2801U);
    EXPECT_EQ(written->unreadable, 0x1000U);

    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->format(), format);
    EXPECT_TRUE(image->notices().empty());
    EXPECT_EQ(image->memory().present_bytes(), 0x2801U);
    Buffer expected(0x2800), found(0x2800);
    EXPECT_TRUE(memory.read(PhysAddr(0x1800), expected).complete());
    EXPECT_TRUE(image->memory().read(PhysAddr(0x1800), found).complete());
    EXPECT_EQ(found, expected);
    EXPECT_EQ(image->memory().read(PhysAddr(0x9000), found).count, 1U);
    EXPECT_EQ(image->memory().read(PhysAddr(0x100000), found).stop,
              guest::MemoryErrc::invalid_guest_address);
  }
}

TEST(Write, ZerosAreHoles) {
  constexpr std::uint64_t kSize = 64 * kMiB;
  const guest::Memory memory = memory_of({{PhysAddr(0), kSize, Backing::host, {}}}, Buffer(kSize));
  for (const auto& [format, write] : kWriters) {
    SCOPED_TRACE(format);
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    ASSERT_TRUE(write(memory, *sink).has_value());
    ASSERT_TRUE(sink->finish().has_value());
    struct stat status = {};
    ASSERT_EQ(::stat(name.path().c_str(), &status), 0);
    EXPECT_GE(status.st_size, std::int64_t{kSize});
    EXPECT_LT(status.st_blocks * 512, std::int64_t{kMiB});
    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value());
    EXPECT_EQ(image->memory().present_bytes(), kSize);
  }
}

TEST(Write, ElfHasTheFacts) {
  const guest::Memory memory = odd_memory();
  for (const std::endian order : {std::endian::little, std::endian::big}) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const Facts facts{.architecture = Architecture::arm64,
                      .byte_order = order,
                      .cpus = {},
                      .vmcoreinfo = "OSRELEASE=6.12.0\n"};
    ASSERT_TRUE(write_elf(memory, facts, *sink).has_value());
    ASSERT_TRUE(sink->finish().has_value());
    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_TRUE(image->notices().empty());
    EXPECT_EQ(image->facts().byte_order, order);
    EXPECT_EQ(image->facts().vmcoreinfo, facts.vmcoreinfo);
    EXPECT_EQ(image->facts().architecture,
              order == std::endian::big ? Architecture::unknown : Architecture::arm64);
    EXPECT_EQ(image->memory().present_bytes(), 0x2801U);
    // Mappable: the same place in the page of the file as in the page of memory.
    for (const Range& range : image->ranges()) {
      EXPECT_EQ(range.offset.mask(kPageMask), range.start.mask(kPageMask));
    }
  }
}

TEST(Write, ElfWithMoreRangesThanItsHeaderCanCount) {
  std::vector<Region> regions;
  constexpr std::uint64_t kRanges = 0x10010;
  for (std::uint64_t i = 0; i < kRanges; ++i) {
    regions.push_back({PhysAddr(i * 2), 1, Backing::host, {}});
  }
  const guest::Memory memory = memory_of(std::move(regions), pattern(kRanges, 1));
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  const auto written = as_elf(memory, *sink);
  ASSERT_TRUE(written.has_value()) << written.error().text;
  EXPECT_EQ(written->ranges, kRanges);
  ASSERT_TRUE(sink->finish().has_value());
  const auto image = Image::open(name.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->ranges().size(), kRanges);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr((kRanges - 1) * 2)),
            pattern(kRanges, 1).back());
}

TEST(Write, NothingToWrite) {
  const guest::Memory memory =
      memory_of({{PhysAddr(0), 0x1000, Backing::unreadable, {}}}, Buffer());
  for (const auto& [format, write] : kWriters) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(memory, *sink);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().text, "write: the memory has no byte that can be read");
  }
}

TEST(Write, FileThatIsCutMeanwhileIsAnError) {
  Buffer bytes;
  append_lime_range(bytes, 0x1000, pattern(0x10000, 1));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  ASSERT_TRUE(file.cut(0x2000));
  for (const auto& [format, write] : kWriters) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(image->memory(), *sink);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().text, "write: the byte at 0x2fe0 cannot be read any more");
  }
}

TEST(Write, MoreZerosThanAFileCanHaveEndAtOnce) {
  const guest::Memory memory =
      memory_of({{PhysAddr(0), 0xfULL << 60, Backing::zero, {}}}, Buffer());
  for (const auto& [format, write] : kWriters) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(memory, *sink);
    ASSERT_FALSE(written.has_value());
    EXPECT_THAT(written.error().text, HasSubstr("0xf000000000000000 zeros at"));
  }
}

TEST(FileSink, NeverReplacesAFile) {
  const TempFile file(pattern(100, 1));
  const auto sink = FileSink::create(file.path());
  ASSERT_FALSE(sink.has_value());
  EXPECT_THAT(sink.error().text, HasSubstr(file.path()));
  EXPECT_EQ(std::filesystem::file_size(file.path()), 100U);
}

TEST(FileSink, RemovesWhatWasNotFinished) {
  const NewName name;
  {
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    ASSERT_TRUE(sink->write(pattern(100, 1)).has_value());
    EXPECT_TRUE(std::filesystem::exists(name.path()));
  }
  EXPECT_FALSE(std::filesystem::exists(name.path()));
}

}  // namespace
}  // namespace engram::image
