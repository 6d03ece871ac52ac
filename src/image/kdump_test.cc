// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/kdump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "image/contents.h"
#include "image/image.h"
#include "image/kdump_layout.h"
#include "image/test_damage.h"
#include "image/test_kdump.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

MemoryErrc stop_at(const Image& image, std::uint64_t page) {
  Buffer to(kPageSize);
  return image.memory().read(PhysAddr(page * kPageSize), to).stop;
}

/// Every page that is stored has its bytes; every other one is absent.
void expect_pages(const Image& image, const Kdump& dump) {
  for (std::uint64_t page = 0; page < dump.page_count; ++page) {
    Buffer to(kPageSize);
    const auto got = image.memory().read(PhysAddr(page * kPageSize), to);
    if (std::count(dump.stored.begin(), dump.stored.end(), page) == 0) {
      EXPECT_EQ(got.stop, MemoryErrc::invalid_guest_address) << page;
    } else {
      EXPECT_TRUE(got.complete()) << page;
      EXPECT_EQ(to, kdump_page(page)) << page;
    }
  }
}

void expect_opens(Kdump dump) {
  const TempFile file(dump.file());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "kdump");
  EXPECT_FALSE(image->truncated());
  expect_pages(*image, dump);
}

std::map<std::string, std::string> header_of(const Image& image) {
  return {image.facts().header.begin(), image.facts().header.end()};
}

class KdumpCodec : public testing::TestWithParam<Codec> {};

TEST_P(KdumpCodec, ReadsPages) {
  if (!can_unpack(GetParam())) GTEST_SKIP() << "built without " << to_string(GetParam());
  Kdump dump;
  dump.codec = GetParam();
  expect_opens(dump);
}

INSTANTIATE_TEST_SUITE_P(Each, KdumpCodec,
                         testing::Values(Codec::none, Codec::zlib, Codec::lzo, Codec::snappy,
                                         Codec::zstd),
                         [](const auto& test) { return std::string(to_string(test.param)); });

class KdumpVersion : public testing::TestWithParam<std::uint32_t> {};

TEST_P(KdumpVersion, ReadsWhatItHasAndNothingElse) {
  for (const bool wide : {true, false}) {
    for (const bool big : {true, false}) {
      if (big && GetParam() == 0) continue;  // the version is what tells the byte order
      Kdump dump;
      dump.version = GetParam();
      dump.wide = wide;
      dump.big = big;
      dump.vmcoreinfo = "OSRELEASE=6.1\n";
      dump.erase_info = "erase buffer\n";
      const TempFile file(dump.file());
      const auto image = Image::open(file.path());
      ASSERT_TRUE(image.has_value()) << image.error().text;
      expect_pages(*image, dump);
      EXPECT_EQ(image->facts().vmcoreinfo.has_value(), dump.version >= 3);
      EXPECT_EQ(header_of(*image).count("erase_info"), dump.version >= 5 ? 1U : 0U);
      EXPECT_EQ(image->facts().byte_order, big ? std::endian::big : std::endian::little);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, KdumpVersion, testing::Range(0U, 7U));

TEST(Kdump, OfDiskdumpHasOneBitmap) {
  Kdump dump;
  dump.signature = "DISKDUMP";
  dump.version = 1;
  dump.two_bitmaps = false;
  expect_opens(dump);
}

TEST(Kdump, SaysWhatItsHeadersSay) {
  Kdump dump;
  dump.level = 3;
  dump.status = 0x8;
  dump.erase_info = "erase tty\n";
  Buffer status(336);  // struct elf_prstatus of x86-64
  put(status, 112 + 16 * 8, std::uint64_t{0xffffffff81000000});
  append_note(dump.notes, "CORE", 1, status);
  append_note(dump.notes, "VMCOREINFO", 0, text("OSRELEASE=6.1\n"));
  const TempFile file(dump.file());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  auto header = header_of(*image);
  EXPECT_EQ(header["release"], "6.1.0-test");
  EXPECT_EQ(header["status"], "zlib, incomplete");
  EXPECT_EQ(header["dump_level"], "3: pages of zeros, page cache");
  EXPECT_EQ(header["erase_info"], "erase tty\n");
  EXPECT_EQ(header["stored_pages"], "6");
  EXPECT_EQ(header["left_out_pages"], "2");
  EXPECT_EQ(image->facts().vmcoreinfo, "OSRELEASE=6.1\n");
  ASSERT_EQ(image->facts().cpus.size(), 1U);
  EXPECT_EQ(image->facts().cpus[0].rip, 0xffffffff81000000);
  EXPECT_EQ(image->facts().architecture, Architecture::x86_64);
  EXPECT_THAT(notices_of(*image),
              HasSubstr("2 pages of memory were left out of the dump (level 3"));
  EXPECT_THAT(notices_of(*image), HasSubstr("the dump is incomplete"));
}

TEST(Kdump, RunsOfPagesAreBounded) {
  // Every other page of a bitmap with 100 runs too many, in a file with descriptors of the
  // first 10.
  Kdump dump;
  dump.page_count = 2 * (kMostRanges + 100);
  Buffer bytes = dump.file();
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(dump.bitmap), dump.page_count / 8,
              std::byte{0x55});
  bytes.resize(dump.descriptors + 10 * sizeof(kdump::PageDescriptor));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->ranges().size(), kMostRanges);
  EXPECT_EQ(image->memory().end(), PhysAddr((2 * kMostRanges - 1) * kPageSize));
  EXPECT_EQ(image->memory().present_bytes(), 10 * kPageSize);
  EXPECT_THAT(notices_of(*image), HasSubstr("kdump: more than 4194304 runs of pages: the 100 pages "
                                            "behind them are not used"));
}

TEST(Kdump, RegistersAreThereWithoutAMachineName) {
  Kdump dump;
  dump.machine = "";  // QEMU
  append_note(dump.notes, "CORE", 1, Buffer(336));
  const TempFile file(dump.file());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->facts().cpus.size(), 1U);
}

TEST(Kdump, IsReadFlattened) {
  Kdump dump;
  const TempFile file(flattened(dump.file()));
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(notices_of(*image),
            "kdump: 2 pages of memory were left out of the dump (level 0): "
            "they are absent\n");
  expect_pages(*image, dump);
}

TEST(Kdump, LaterFlatRecordsReplaceEarlierOnes) {
  Kdump dump;
  const Buffer plain = dump.file();
  Buffer out = flat_header();
  append_flat_record(out, 0, pattern(plain.size(), 9));
  append_flat_record(out, 0, plain);
  append_flat_end(out);
  const TempFile file(out);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  expect_pages(*image, dump);
}

/// Flattened, without the byte at `hole`.
Buffer without_byte(const Buffer& plain, std::size_t hole) {
  const auto at = plain.begin() + static_cast<std::ptrdiff_t>(hole);
  Buffer out = flat_header();
  append_flat_record(out, 0, Buffer(plain.begin(), at));
  append_flat_record(out, hole + 1, Buffer(at + 1, plain.end()));
  append_flat_end(out);
  return out;
}

TEST(Kdump, ABitmapWithAHoleIsUsedUpToThere) {
  Kdump dump;
  const Buffer plain = dump.file();
  const TempFile file(without_byte(plain, dump.bitmap + 1));  // of the pages 8 to 15
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(
      notices_of(*image),
      fmt::format("kdump: the bitmap cannot be read at {:#x}: pages 0x8 to 0x3f are unknown\n",
                  dump.bitmap + 1));
  dump.stored.pop_back();  // page 40
  expect_pages(*image, dump);
}

TEST(Kdump, ABitmapOfMemoryWithAHoleSaysNothingOfWhatWasLeftOut) {
  Kdump dump;
  const Buffer plain = dump.file();
  const std::size_t ram_bitmap = dump.bitmap - kPageSize;
  const TempFile file(without_byte(plain, ram_bitmap + 5));
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(notices_of(*image),
            fmt::format("kdump: the bitmap of what is memory cannot be read at {:#x}: how many of "
                        "its pages were left out of the dump is unknown\n",
                        ram_bitmap + 5));
  EXPECT_EQ(header_of(*image).count("left_out_pages"), 0U);
  expect_pages(*image, dump);
}

TEST(Kdump, FlatRecordsAreBounded) {
  Kdump dump;
  Buffer out = flat_header();
  append_flat_record(out, 0, dump.file());
  Buffer record;
  append_flat_record(record, kMiB, Buffer(1));
  out.reserve(out.size() + kMostRanges * record.size());
  for (std::size_t i = 0; i < kMostRanges; ++i) {
    out.insert(out.end(), record.begin(), record.end());
  }
  const TempFile file(out);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_THAT(
      notices_of(*image),
      HasSubstr(fmt::format("kdump: flattened: record 4194304 at {:#x}: too many for a file "
                            "of {} bytes; what comes before it is used",
                            out.size() - record.size(), out.size())));
  expect_pages(*image, dump);
}

TEST(Kdump, FlattenedButNoKdumpSaysSo) {
  Buffer out = flat_header();
  append_flat_record(out, 0, elf_file({{PT_LOAD, 0x1000, pattern(4096, 1)}}));
  append_flat_end(out);
  const TempFile file(out);
  const auto image = Image::open(file.path());
  ASSERT_FALSE(image.has_value());
  EXPECT_THAT(image.error().text, HasSubstr("what was flattened is no kdump"));
}

class KdumpFlatDamage : public testing::TestWithParam<Damage> {};

TEST_P(KdumpFlatDamage, IsNamedAndSurvived) {
  Kdump dump;
  dump.left_out = {};
  const Buffer plain = dump.file();
  Buffer out = flat_header();
  append_flat_record(out, 0, Buffer(plain.begin(), plain.begin() + std::ssize(plain) - 100));
  append_flat_record(out, plain.size() - 100, Buffer(plain.end() - 100, plain.end()));
  append_flat_end(out);
  expect_named_and_survived(out, GetParam());
}

const Damage kFlatDamages[] = {
    {"CutBeforeTheEnd", [](Buffer& b) { b.resize(b.size() - 1); }, nullptr,
     "kdump: flattened: record 2 at ", true},
    {"CutInARecord", [](Buffer& b) { b.resize(b.size() - 20); }, nullptr,
     "the file ends 4 bytes before its 0x64 bytes do", true},
    {"SizeOfNothing", [](Buffer& b) { put(b, b.size() - 16 - 100 - 8, std::uint64_t{0}); }, nullptr,
     "0x0 bytes for offset", true},
    {"CutInTheHeader", [](Buffer& b) { b.resize(100); }, "kdump: flattened: no record in it"},
    {"FirstRecordIsTheEnd", [](Buffer& b) { put(b, 4096, ~std::uint64_t{0}); },
     "kdump: flattened: no record in it; it ends at once"},
};

INSTANTIATE_TEST_SUITE_P(Each, KdumpFlatDamage, testing::ValuesIn(kFlatDamages),
                         [](const auto& test) { return std::string(test.param.name); });

class KdumpDamage : public testing::TestWithParam<Damage> {};

// Where Kdump puts things.
constexpr std::size_t kBitmap = 5 * kPageSize;
constexpr std::size_t kDescriptors = 6 * kPageSize;

TEST_P(KdumpDamage, IsNamedAndSurvived) {
  Kdump dump;
  dump.left_out = {};
  const Buffer good = dump.file();
  ASSERT_EQ(dump.bitmap, kBitmap);
  ASSERT_EQ(dump.descriptors, kDescriptors);
  expect_named_and_survived(good, GetParam());
}

const Damage kDamages[] = {
    {"CutInTheHeader", [](Buffer& b) { b.resize(463); },
     "kdump: the file has 463 bytes, its header alone has 464"},
    {"CutInTheSecondHeader", [](Buffer& b) { b.resize(kPageSize + 103); },
     "its second header ends at 0x1068"},
    {"CutBeforeTheBitmap", [](Buffer& b) { b.resize(kBitmap); },
     "the bitmap of its pages lies at 0x5000"},
    {"CutInTheBitmap", [](Buffer& b) { b.resize(kBitmap + 1); }, "kdump: no page in it"},
    {"CutBeforeTheDescriptors", [](Buffer& b) { b.resize(kDescriptors); }, "kdump: no page in it"},
    {"CutInTheDescriptors", [](Buffer& b) { b.resize(kDescriptors + 3 * 24 + 1); }, nullptr,
     "the descriptors of 3 of 6 pages lie behind the end of the file", true, 3 * kPageSize},
    {"CutInThePages", [](Buffer& b) { b.resize(b.size() - 1); }, nullptr,
     "the last ones are not readable", true},
    {"BlockSize", [](Buffer& b) { put(b, 428, 4097U); },
     "kdump: blocks of 0x1001 bytes at 0x1ac: a power of two from 4096 to 65536 is expected"},
    {"HugeBlocks", [](Buffer& b) { put(b, 428, 1U << 31); }, "kdump: blocks of 0x80000000 bytes"},
    {"NoPages",
     [](Buffer& b) {
       put(b, kPageSize + 96, std::uint64_t{0});
       put(b, 440, 0U);
     },
     "kdump: 0x0 pages are declared"},
    {"TooManyPages", [](Buffer& b) { put(b, kPageSize + 96, ~std::uint64_t{0}); },
     "pages are declared, 1 to 0x400000000 are expected"},
    {"MorePagesThanBits", [](Buffer& b) { put(b, kPageSize + 96, std::uint64_t{1} << 34); },
     nullptr, "pages from 0x8000 on are unknown"},
    {"NewerVersion", [](Buffer& b) { put(b, 8, 7U); }, nullptr,
     "kdump: header version 7, the newest known is 6"},
    {"EmptyBitmap", [](Buffer& b) { put(b, kBitmap, std::uint64_t{0}); }, "kdump: no page in it"},
    {"NoBitmapBlocks", [](Buffer& b) { put(b, 436, 0U); },
     "the bitmap of its pages lies at 0x4000"},
    {"NotesBehindTheEnd",
     [](Buffer& b) {
       put(b, kPageSize + 48, std::uint64_t{1} << 40);
       put(b, kPageSize + 56, std::uint64_t{1} << 40);
     },
     nullptr, "kdump: the notes at 0x10000000000 are cut or damaged"},
    {"SplitIntoNothing",
     [](Buffer& b) {
       put(b, kPageSize + 12, 1U);
       put(b, kPageSize + 80, std::uint64_t{9});
       put(b, kPageSize + 88, std::uint64_t{8});
     },
     "this file of a split dump has pages from 0x9 to 0x8, of 0x40"},
    {"SplitAndEmpty",
     [](Buffer& b) {
       put(b, kPageSize + 12, 1U);
       put(b, kPageSize + 80, std::uint64_t{64});
       put(b, kPageSize + 88, std::uint64_t{64});
     },
     nullptr, "6 of its 6 pages are in files that were not given", true, 0},
};

INSTANTIATE_TEST_SUITE_P(Each, KdumpDamage, testing::ValuesIn(kDamages),
                         [](const auto& test) { return std::string(test.param.name); });

struct BadPage {
  const char* name;
  std::function<void(Buffer&, std::size_t)> apply;  // to the descriptor at this place
  const char* text;
};
const BadPage kBadPages[] = {
    {"Offset", [](Buffer& b, std::size_t at) { put(b, at, ~std::uint64_t{0} - 10); },
     "at 0xfffffffffffffff5: the file ends at"},
    {"NoSize", [](Buffer& b, std::size_t at) { put(b, at + 8, 0U); },
     "0x0 bytes are stored, 1 to 0x1000 are expected"},
    {"Size", [](Buffer& b, std::size_t at) { put(b, at + 8, 4097U); },
     "0x1001 bytes are stored, 1 to 0x1000 are expected"},
    {"Flags", [](Buffer& b, std::size_t at) { put(b, at + 12, 3U); },
     "flags 0x3 are no compression"},
    {"OtherCompression", [](Buffer& b, std::size_t at) { put(b, at + 12, 0x20U); },
     "are damaged (zstd)"},
    {"ShortPlain",
     [](Buffer& b, std::size_t at) {
       put(b, at + 8, 100U);
       put(b, at + 12, 0U);
     },
     "give 0x64 bytes (none), 0x1000 are expected"},
    {"NotWritten",
     [](Buffer& b, std::size_t at) {
       put(b, at, std::uint64_t{0});
       put(b, at + 8, std::uint64_t{0});
     },
     "the dump ended before it was written"},
    {"Data",
     [](Buffer& b, std::size_t at) {
       const auto offset = load<std::uint64_t>(Bytes(b), at).value();
       put(b, static_cast<std::size_t>(offset), std::uint64_t{0});
     },
     "are damaged (zlib)"},
};

TEST(Kdump, ABadPageFailsWithAReasonAndTheOthersAreFine) {
  for (const BadPage& bad : kBadPages) {
    Kdump dump;
    Buffer bytes = dump.file();
    bad.apply(bytes, dump.descriptors + 24);  // of page 1
    const TempFile file(bytes);
    const auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value()) << bad.name << ": " << image.error().text;
    EXPECT_TRUE(image->page_problems().empty()) << bad.name;
    for (int again = 0; again < 2; ++again) {
      EXPECT_EQ(stop_at(*image, 1), MemoryErrc::source_truncated) << bad.name;
      for (const std::uint64_t page : {0U, 5U, 6U, 7U, 40U}) {
        EXPECT_EQ(stop_at(*image, page), MemoryErrc::none) << bad.name;
      }
    }
    const auto problems = image->page_problems();
    ASSERT_EQ(problems.size(), 1U) << bad.name;
    EXPECT_EQ(problems[0].address, PhysAddr(kPageSize));
    EXPECT_THAT(problems[0].text, HasSubstr(fmt::format("kdump: page 0x1: descriptor at {:#x}: ",
                                                        dump.descriptors + 24)));
    EXPECT_THAT(problems[0].text, HasSubstr(bad.text)) << bad.name;
  }
}

// ---- Files of a split dump

Kdump part_of_split(std::uint64_t first, std::uint64_t end) {
  Kdump part;
  part.first_page = first;
  part.end_page = end;
  return part;
}

TEST(Kdump, SplitFilesAreOneDumpInAnyOrder) {
  Kdump whole, a = part_of_split(0, 6), b = part_of_split(6, 7), c = part_of_split(7, 64);
  Kdump none = part_of_split(64, 64);
  const TempFile first(a.file()), second(b.file()), third(c.file()), fourth(none.file());
  OpenOptions options;
  options.parts = {third.path(), fourth.path(), first.path()};
  const auto image = Image::open(second.path(), options);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  expect_pages(*image, whole);
  EXPECT_FALSE(image->truncated());
}

TEST(Kdump, OneFileOfASplitDumpSaysWhatIsMissing) {
  Kdump part = part_of_split(5, 7);
  const TempFile file(part.file());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_THAT(notices_of(*image), HasSubstr("4 of its 6 pages are in files that were not given"));
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(stop_at(*image, 0), MemoryErrc::source_truncated);
  EXPECT_EQ(stop_at(*image, 2), MemoryErrc::invalid_guest_address);
  EXPECT_EQ(stop_at(*image, 5), MemoryErrc::none);
  EXPECT_EQ(stop_at(*image, 6), MemoryErrc::none);
  EXPECT_EQ(stop_at(*image, 40), MemoryErrc::source_truncated);
}

TEST(Kdump, ABitmapWithAHoleLosesPagesOfOtherFilesToo) {
  Kdump part = part_of_split(5, 7);
  const Buffer plain = part.file();
  const TempFile file(without_byte(plain, part.bitmap + 1));
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_THAT(notices_of(*image), HasSubstr("pages 0x8 to 0x3f are unknown"));
  EXPECT_THAT(notices_of(*image), HasSubstr("3 of its 5 pages are in files that were not given"));
  EXPECT_EQ(stop_at(*image, 6), MemoryErrc::none);
  EXPECT_EQ(stop_at(*image, 7), MemoryErrc::source_truncated);
  EXPECT_EQ(stop_at(*image, 40), MemoryErrc::invalid_guest_address);
}

TEST(Kdump, FilesThatDoNotBelongTogetherAreRefused) {
  Kdump a = part_of_split(0, 6), b = part_of_split(5, 64), other = part_of_split(6, 64), whole;
  other.page_count = 65;
  const TempFile first(a.file()), overlapping(b.file()), strange(other.file()), all(whole.file());
  const TempFile lime = [] {
    Buffer bytes;
    append_lime_range(bytes, 0, pattern(4096, 1));
    return TempFile(bytes);
  }();
  const auto error = [&](const std::string& part) {
    OpenOptions options;
    options.parts = {part};
    const auto image = Image::open(first.path(), options);
    return image ? "" : image.error().text;
  };
  EXPECT_THAT(error(overlapping.path()), HasSubstr("two files have the pages from 0x5 on"));
  EXPECT_THAT(error(strange.path()), HasSubstr("the files are of different dumps"));
  EXPECT_THAT(error(all.path()), HasSubstr("one of them is not split"));
  EXPECT_THAT(error(lime.path()), HasSubstr("is no kdump"));
}

}  // namespace
}  // namespace engram::image
