// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "image/formats.h"
#include "image/test_damage.h"
#include "image/test_dmp.h"
#include "image/test_packed.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

constexpr std::size_t kBlock = 300 * kKiB;

/// Memory that packs, with a hole of zeros and bytes that do not.
Buffer memory_bytes() {
  Buffer bytes(3 * kMiB + 777);
  const Buffer noise = pattern(400 * kKiB, 7);
  std::copy(noise.begin(), noise.end(), bytes.begin() + 100'000);
  for (std::size_t i = 2 * kMiB; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i / 1000);
  }
  std::copy(noise.begin(), noise.begin() + 200'000, bytes.begin() + 2'500'000);
  return bytes;
}

struct Sample {
  const char* name;
  Buffer file;
  std::uint64_t blocks;  // 0: it is unpacked as a whole
};

std::vector<Sample> samples(const Buffer& bytes) {
  Buffer members = gzip_member(Bytes(bytes).first(kMiB));
  append(members, gzip_member(Bytes(bytes).subspan(kMiB)));
  members.resize(members.size() + 512);  // a tape's padding
  const std::uint64_t blocks = (bytes.size() + kBlock - 1) / kBlock;
  return {{"gzip", gzip_member(bytes), 0},
          {"two members", members, 0},
          {"BGZF", bgzf(bytes), (bytes.size() + 4 * 0xFF00 - 1) / (4 * 0xFF00)},
          // A quarter of a megabyte of them is longer in the file.
          {"BGZF, small members", bgzf(bytes, 256), (bytes.size() + 256 * kKiB - 1) / (256 * kKiB)},
          {"xz", xz(bytes, bytes.size()), 0},
          {"xz, blocks", xz(bytes, kBlock), blocks},
          {"zstd", zstd_frame(bytes), 0},
          {"zstd, frames", zstd_frames(bytes, kBlock), blocks},
          {"zstd, seekable", zstd_seekable(bytes, kBlock), blocks}};
}

/// Of a file that stays; a temporary would not.
std::unique_ptr<PackedFile> open_packed(Buffer&& file) = delete;
std::unique_ptr<PackedFile> open_packed(const Buffer& file) {
  const PackedFormat* const format = packed_format_of(file);
  EXPECT_NE(format, nullptr);
  auto packed = PackedFile::open(*format, FileView(file), {});
  EXPECT_TRUE(packed.has_value()) << packed.error().text;
  return std::move(*packed);
}

std::string error_of(const Buffer& bytes, const OpenOptions& options = {}) {
  const TempFile file(bytes);
  const auto image = Image::open(file.path(), options);
  return image ? "opened as " + image->format() : image.error().text;
}

TEST(PackedFile, HasTheBytesThatWerePacked) {
  const Buffer bytes = memory_bytes();
  for (const Sample& sample : samples(bytes)) {
    SCOPED_TRACE(sample.name);
    const TempFile file(sample.file);
    const auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->format(), "raw");
    EXPECT_EQ(image->file_size(), sample.file.size());
    EXPECT_FALSE(image->truncated());
    EXPECT_EQ(image->unpacking_cost().has_value(), sample.blocks == 0);
    Buffer all(bytes.size());
    EXPECT_TRUE(image->memory().read(PhysAddr(0), all).complete());
    EXPECT_EQ(all, bytes);
    EXPECT_EQ(image->memory().load_word(PhysAddr(123'456)), load<std::uint64_t>(bytes, 123'456));
    EXPECT_EQ(image->memory().load_word(PhysAddr(bytes.size() - 7)), std::nullopt);
    EXPECT_TRUE(image->page_problems().empty());
  }
}

TEST(PackedFile, UnpacksABlockWhenItIsReadAndNeverTwice) {
  const Buffer bytes = memory_bytes();
  for (const Sample& sample : samples(bytes)) {
    if (sample.blocks == 0) continue;
    SCOPED_TRACE(sample.name);
    const auto packed = open_packed(sample.file);
    EXPECT_EQ(packed->unpacked_blocks(), 0U);
    const FileView view = packed->view();
    EXPECT_EQ(view.packed_size(), sample.file.size());
    EXPECT_EQ(view.load<std::uint8_t>(FileOffset(2 * kMiB)), load<std::uint8_t>(bytes, 2 * kMiB));
    EXPECT_EQ(packed->unpacked_blocks(), 1U);

    const auto read_all = [&] {
      for (std::size_t at = 0; at < bytes.size(); at += 10'000) {
        const auto part = view.copy(FileOffset(at), 10'000);
        const Bytes wanted =
            Bytes(bytes).subspan(at, std::min<std::size_t>(10'000, bytes.size() - at));
        EXPECT_TRUE(std::equal(part.begin(), part.end(), wanted.begin(), wanted.end()));
      }
    };
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) threads.emplace_back(read_all);
    }
    EXPECT_EQ(packed->unpacked_blocks(), sample.blocks);
  }
}

TEST(PackedFile, UnpacksAheadOfWhoReadsTheBlocksInTheirOrder) {
  const Buffer bytes = memory_bytes();
  const Buffer file = zstd_frames(bytes, kBlock);
  const auto packed = open_packed(file);
  const auto unpacked_by = [&](std::size_t block) {
    const std::uint64_t before = packed->unpacked_blocks();
    const std::size_t at = block * kBlock + 1000;
    EXPECT_EQ(packed->view().load<std::uint64_t>(FileOffset(at)), load<std::uint64_t>(bytes, at));
    return packed->unpacked_blocks() - before;
  };
  EXPECT_EQ(unpacked_by(0), 1U);
  EXPECT_EQ(unpacked_by(1), 2U);
  EXPECT_EQ(unpacked_by(2), 0U);
  EXPECT_EQ(unpacked_by(7), 1U);
  EXPECT_EQ(unpacked_by(4), 1U);
  EXPECT_EQ(unpacked_by(3), 1U);
}

TEST(PackedFile, HasFormatsInIt) {
  Buffer lime;
  append_lime_range(lime, 0x1000, pattern(kMiB, 1));
  append_lime_range(lime, 0x40000000, pattern(kMiB, 2));
  for (const Sample& sample : samples(lime)) {
    SCOPED_TRACE(sample.name);
    const TempFile file(sample.file);
    const auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->format(), "lime");
    ASSERT_EQ(image->ranges().size(), 2U);
    Buffer second(kMiB);
    EXPECT_TRUE(image->memory().read(PhysAddr(0x40000000), second).complete());
    EXPECT_EQ(second, pattern(kMiB, 2));
    EXPECT_EQ(image->memory().read(PhysAddr(0x1000 + kMiB), second).stop,
              MemoryErrc::invalid_guest_address);
  }
}

TEST(PackedFile, RefusesRangesThatShareTheirBytes) {
  Buffer elf;
  std::vector<ElfSegment> segments(40, {.data = {}, .file_size = kMiB, .offset = 8192});
  for (std::size_t i = 0; i < segments.size(); ++i) {
    segments[i].physical = i * kMiB;
    segments[i].memory_size = kMiB;
  }
  elf = elf_file(segments);
  elf.resize(8192 + kMiB);
  EXPECT_THAT(error_of(xz(elf, kBlock)), HasSubstr("are more than a file of"));
}

TEST(PackedFile, IsUsedUpToWhereItIsCut) {
  const Buffer bytes = memory_bytes();
  for (const Sample& sample : samples(bytes)) {
    SCOPED_TRACE(sample.name);
    Buffer half(sample.file.begin(), sample.file.begin() + std::ssize(sample.file) * 9 / 10);
    const TempFile file(half);
    const auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_TRUE(image->truncated());
    ASSERT_FALSE(image->notices().empty());
    EXPECT_TRUE(std::any_of(image->notices().begin(), image->notices().end(), [&](const Notice& n) {
      return n.level == Level::warning &&
             n.text.find("bytes before that are used") != std::string::npos;
    }));
    const std::uint64_t there = image->memory().present_bytes();
    ASSERT_GT(there, kMiB);
    ASSERT_LT(there, bytes.size());
    Buffer all(static_cast<std::size_t>(there));
    EXPECT_TRUE(image->memory().read(PhysAddr(0), all).complete());
    EXPECT_TRUE(std::equal(all.begin(), all.end(), bytes.begin()));
  }
}

TEST(PackedFile, ADamagedBlockTakesNoOtherWithIt) {
  const Buffer bytes = memory_bytes();
  for (Sample sample : samples(bytes)) {
    if (sample.blocks == 0) continue;
    SCOPED_TRACE(sample.name);
    // Noise that was stored as it is: its checksum does not fit any more.
    const auto at = std::search(sample.file.begin(), sample.file.end(), bytes.begin() + 350'000,
                                bytes.begin() + 350'020);
    if (at == sample.file.end()) continue;
    *at ^= std::byte{1};
    const TempFile file(sample.file);
    const auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    Buffer rest(kMiB);
    EXPECT_TRUE(image->memory().read(PhysAddr(2 * kMiB), rest).complete());
    EXPECT_TRUE(image->page_problems().empty());
    Buffer all(bytes.size());
    const auto outcome = image->memory().read(PhysAddr(0), all);
    if (outcome.complete()) continue;  // frames of ZSTD_compress() have no checksum
    EXPECT_EQ(outcome.stop, MemoryErrc::source_truncated);
    EXPECT_LT(outcome.count, 700'000U);
    ASSERT_EQ(image->page_problems().size(), 1U);
    EXPECT_THAT(image->page_problems()[0].text, HasSubstr(": block "));
    EXPECT_EQ(image->page_problems()[0].address, std::nullopt);
  }
}

TEST(PackedFile, ADamagedBlockInABitmapLeavesUnknownPages) {
  const Buffer dump = dmp_bitmap({{1, 1}}, 8 * kMiB);
  Buffer packed = zstd_frames(dump, kBlock);
  constexpr std::size_t kFrameHeader = 9 + 3;  // and that of its first block
  packed[zstd_frame(Bytes(dump).first(kBlock)).size() + kFrameHeader] ^= std::byte{0xFF};
  const TempFile file(packed);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), kPageSize);
  EXPECT_THAT(notices_of(*image), HasSubstr("dmp: the bitmap cannot be read at 0x4b000"));
  EXPECT_THAT(notices_of(*image), HasSubstr(": pages 0x247e40 to 0x7fffff are unknown"));
}

TEST(PackedFile, BlocksAreAsLargeAsTheySay) {
  const Buffer bytes = memory_bytes();
  constexpr std::uint32_t kSize = kBlock;
  for (const std::uint32_t lie : {kSize - 1, kSize + 1}) {
    Buffer file = zstd_seekable(bytes, kBlock);
    const std::size_t table = file.size() - 9 - 8 * ((bytes.size() + kBlock - 1) / kBlock);
    put(file, table + 4, lie);
    const auto packed = open_packed(file);
    Buffer all(kBlock + 1);
    EXPECT_EQ(packed->read(FileOffset(0), all), lie < kSize ? kBlock + 1 : kBlock);
    ASSERT_EQ(packed->problems()->list().size(), 1U);
    EXPECT_THAT(packed->problems()->list()[0].text, HasSubstr("block 0 at 0x0"));
  }
}

TEST(PackedFile, ABlockThatGivesTooMuchLeavesItsNeighbourAlone) {
  constexpr std::uint32_t kMember = 0xFF00;
  constexpr std::size_t kMembers = 4;  // of a block
  const Buffer zeros(kMember);
  Buffer file;
  for (std::size_t i = 0; i + 1 < kMembers; ++i) append(file, bgzf_member(zeros, kMember));
  append(file, bgzf_member(Buffer(3 * kMember, std::byte{'X'}), kMember));
  for (std::size_t i = 0; i < kMembers; ++i) append(file, bgzf_member(zeros, kMember));
  append(file, bgzf_member({}, 0));
  for (const bool neighbour_first : {false, true}) {
    const auto packed = open_packed(file);
    Buffer first(kMembers * kMember), behind(first.size(), std::byte{1});
    const auto read_neighbour = [&] {
      EXPECT_EQ(packed->read(FileOffset(first.size()), behind), behind.size());
    };
    if (neighbour_first) read_neighbour();
    static_cast<void>(packed->read(FileOffset(0), first));
    read_neighbour();
    EXPECT_EQ(behind, Buffer(behind.size())) << neighbour_first;
    ASSERT_EQ(packed->problems()->list().size(), 1U);
    EXPECT_THAT(packed->problems()->list()[0].text, HasSubstr("more than the 261120 bytes"));
  }
}

TEST(PackedFile, ABlockThatEndsBeforeItsEndEnds) {
  const Buffer bytes = memory_bytes();
  const Buffer file = xz_with_junk(bytes, kBlock, Buffer(64));
  const auto packed = open_packed(file);
  Buffer second(kBlock);
  EXPECT_EQ(packed->read(FileOffset(kBlock), second), kBlock);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), bytes.begin() + kBlock));
  EXPECT_TRUE(packed->problems()->list().empty());
  Buffer first(kBlock);
  static_cast<void>(packed->read(FileOffset(0), first));
  ASSERT_EQ(packed->problems()->list().size(), 1U);
  EXPECT_THAT(packed->problems()->list()[0].text, HasSubstr("it ends before its declared end"));
}

/// While it lives no file grows beyond so many bytes.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uint64_t most) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{most, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(PackedFile, ABlockThatCannotBeWrittenIsNotUnpackedAgain) {
  constexpr std::size_t kLarge = 2 * kMiB;
  const Buffer bytes = pattern(2 * kLarge, 5);
  const Buffer file = zstd_frames(bytes, kLarge);
  const auto packed = open_packed(file);
  const FileSizeLimit limit(kLarge + kMiB + 12'345);  // in the second block
  Buffer to(kLarge);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(packed->read(FileOffset(kLarge), to), kMiB);
    EXPECT_TRUE(std::equal(to.begin(), to.begin() + kMiB, bytes.begin() + kLarge));
    EXPECT_EQ(packed->read(FileOffset(2 * kLarge - 100), MutableBytes(to).first(10)), 0U);
  }
  EXPECT_EQ(packed->unpacked_blocks(), 1U);
  ASSERT_EQ(packed->problems()->list().size(), 1U);
  EXPECT_THAT(packed->problems()->list()[0].text,
              testing::AllOf(HasSubstr("zstd: block 1 at 0x"),
                             HasSubstr("; its first 1048576 bytes are used")));
  EXPECT_EQ(packed->read(FileOffset(0), to), kLarge);
  EXPECT_TRUE(std::equal(to.begin(), to.end(), bytes.begin()));
}

TEST(PackedFile, ASizeThatNobodyHasIsOnlyAClaim) {
  // Frames of one segment that say 2^40 bytes, and end at once: an empty last block.
  Buffer frame;
  append(frame, std::uint32_t{0xFD2FB528});
  append(frame, std::uint8_t{0xE0});
  append(frame, std::uint64_t{1} << 40U);
  append(frame, std::uint16_t{1});
  append(frame, std::uint8_t{0});
  Buffer file = frame;
  append(file, frame);
  EXPECT_THAT(error_of(file), HasSubstr("zstd: nothing can be unpacked: at 0x"));
}

TEST(PackedFile, SaysWhatIsNoImage) {
  EXPECT_THAT(error_of(gzip_member(pattern(1000, 1))), HasSubstr("1000 bytes are too few"));
  EXPECT_THAT(error_of(gzip_member(gzip_member(memory_bytes()))),
              HasSubstr("a gzip file in a packed file: unpack it first: gzip -dc FILE > IMAGE"));
  EXPECT_THAT(error_of(text("\x1f\x8b\x08 and nothing else")),
              HasSubstr("gzip: nothing can be unpacked: at 0x"));
}

TEST(PackedFile, EndsWhenNobodyWantsIt) {
  OpenOptions options;
  std::uint64_t most = 0;
  options.go_on = [&most](const UnpackState& state) {
    most = std::max(most, state.done);
    EXPECT_LE(state.done, state.all);
    return false;
  };
  EXPECT_THAT(error_of(gzip_member(memory_bytes()), options), HasSubstr("it was not unpacked"));
  EXPECT_GT(most, 0U);
}

TEST(PackedFile, NamesTheFolderThatIsMissing) {
  const char* const before = ::getenv("TMPDIR");
  const std::string old = before != nullptr ? before : "";
  const Buffer packed = gzip_member(memory_bytes());
  const TempFile file(packed);
  ::setenv("TMPDIR", "/nowhere/at/all", 1);
  const auto image = Image::open(file.path());
  old.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", old.c_str(), 1);
  ASSERT_FALSE(image.has_value());
  EXPECT_THAT(image.error().text, HasSubstr("a temporary file in /nowhere/at/all"));
}

TEST(PageProblems, ListEachOnce) {
  PageProblems problems;
  for (int again = 0; again < 3; ++again) {
    problems.add("no room for block 1");
    problems.add(PhysAddr(kPageSize), [] { return "damaged"; });
    problems.add("no room for block 2");
  }
  EXPECT_EQ(problems.list().size(), 3U);
}

TEST(ScratchFile, ZerosTakeNoRoom) {
  const auto scratch = ScratchFile::create();
  ASSERT_TRUE(scratch.has_value()) << scratch.error().text;
  Buffer bytes(kMiB);
  bytes[5 * kPageSize] = std::byte{1};
  ASSERT_TRUE(scratch->write(FileOffset(kMiB), bytes).has_value());
  EXPECT_EQ(scratch->written(), kPageSize);
  const auto mapped = scratch->map(4 * kMiB);
  ASSERT_TRUE(mapped.has_value());
  EXPECT_EQ(mapped->unsafe_exclusive_bytes()[kMiB + 5 * kPageSize], std::byte{1});
  EXPECT_THAT(scratch->expect_room(~std::uint64_t{0}).error().text, HasSubstr("no room in /"));
}

}  // namespace
}  // namespace engram::image
