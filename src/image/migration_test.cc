// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/test_migration.h"
#include "image/test_packed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <random>

#include "image/image.h"
#include "image/migration_pages.h"
#include "image/test_damage.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using migration::Part;
using testing::HasSubstr;

constexpr std::uint64_t kRamSize = 8 * kPageSize;

Buffer page_of(const Image& image, PhysAddr address) {
  Buffer page(kPageSize);
  page.resize(image.memory().read(address, page).count);
  return page;
}

std::multimap<std::string, std::string> header_of(const Image& image) {
  return {image.facts().header.begin(), image.facts().header.end()};
}

/// Pages 0, 1 and 3 with bytes, all others zeros; a third part sends page 1 again.
MigrationStream good_stream() {
  MigrationStream stream;
  stream.blocks({{"pc.ram", kRamSize}, {"0000:00:02.0/vga.vram", kPageSize}});
  stream.number(migration::kFlagEnd);
  stream.footer(MigrationStream::kRam);
  stream.part(Part::section_part, MigrationStream::kRam);
  stream.page(0, pattern(kPageSize, 0), "pc.ram");
  stream.page(kPageSize, pattern(kPageSize, 100));
  stream.zeros(2 * kPageSize);
  stream.page(3 * kPageSize, pattern(kPageSize, 3));
  for (std::uint64_t page = 4; page < 8; ++page) stream.zeros(page * kPageSize);
  stream.page(0, pattern(kPageSize, 99), "0000:00:02.0/vga.vram");
  stream.end_of_part();
  stream.part(Part::section_end, MigrationStream::kRam);
  stream.page(kPageSize, pattern(kPageSize, 1), "pc.ram");
  stream.end_of_part();
  stream.device("cpu", 12, cpu_state(0x1000, 0xffffffff81000000));
  stream.end();
  stream.number(std::uint8_t{0x06});
  stream.number(std::uint32_t{2});
  append(stream.bytes, text("{}"));
  return stream;
}

TEST(Migration, LastRecordOfAPageCounts) {
  const TempFile file(good_stream().bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "migration");
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_FALSE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), kRamSize);
  for (const unsigned page : {0U, 1U, 3U}) {
    EXPECT_EQ(page_of(*image, PhysAddr(page * kPageSize)), pattern(kPageSize, page)) << page;
  }
  EXPECT_EQ(page_of(*image, PhysAddr(2 * kPageSize)), Buffer(kPageSize));
  EXPECT_EQ(page_of(*image, PhysAddr(7 * kPageSize)), Buffer(kPageSize));
}

TEST(Migration, SaysWhatItsHeadersSay) {
  const TempFile file(good_stream().bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  const auto header = header_of(*image);
  EXPECT_EQ(header.find("machine")->second, "pc-i440fx-7.2");
  EXPECT_EQ(header.find("block")->second, "pc.ram: 32768 bytes, RAM");
  EXPECT_EQ(header.count("block"), 2U);
  EXPECT_EQ(header.find("page_records")->second, "10");
  ASSERT_EQ(image->facts().cpus.size(), 1U);
  const CpuRegisters& cpu = image->facts().cpus[0];
  EXPECT_EQ(cpu.rip, 0xffffffff81000000);
  EXPECT_EQ(cpu.gs_base, 0xffff888000000000);
  EXPECT_EQ(cpu.control->cr3, 0x1000U);
  EXPECT_EQ(image->facts().architecture, Architecture::x86_64);
}

TEST(Migration, ReadsEveryKindOfPage) {
  MigrationStream stream;
  stream.blocks({{"pc.ram", kRamSize}});
  stream.zeros(0, "pc.ram", 0xAB);
  const Buffer page = pattern(kPageSize, 5);
  Buffer packed(2 * kPageSize);
  uLongf size = packed.size();
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(page.data()), page.size()),
            Z_OK);
  packed.resize(size);
  stream.record(kPageSize, migration::kFlagPacked);
  stream.number(static_cast<std::uint32_t>(size));
  append(stream.bytes, packed);
  // Of page 2: 300 bytes stay, two change, the rest stays; then the first one changes.
  stream.page(2 * kPageSize, page);
  for (const auto& delta :
       {std::vector<int>{0xAC, 0x02, 0x02, 'h', 'i'}, std::vector<int>{0x00, 0x01, '!'}}) {
    stream.record(2 * kPageSize, migration::kFlagDelta);
    stream.number(std::uint8_t{1});
    stream.number(static_cast<std::uint16_t>(delta.size()));
    for (const int byte : delta) stream.number(static_cast<std::uint8_t>(byte));
  }
  stream.number(migration::kFlagFlush);
  // A delta to a page that is sent again whole is of no more use.
  stream.record(3 * kPageSize, migration::kFlagDelta);
  stream.number(std::uint8_t{1});
  stream.number(std::uint16_t{3});
  for (const int byte : {0x00, 0x01, 0x3F}) stream.number(static_cast<std::uint8_t>(byte));
  for (std::uint64_t at = 3; at < 8; ++at) stream.page(at * kPageSize, page);
  stream.end_of_part();
  stream.end();
  const TempFile file(stream.bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(page_of(*image, PhysAddr(0)), Buffer(kPageSize, std::byte{0xAB}));
  EXPECT_EQ(page_of(*image, PhysAddr(kPageSize)), page);
  Buffer changed = page;
  changed[0] = std::byte{'!'};
  changed[300] = std::byte{'h'};
  changed[301] = std::byte{'i'};
  EXPECT_EQ(page_of(*image, PhysAddr(2 * kPageSize)), changed);
  EXPECT_EQ(page_of(*image, PhysAddr(3 * kPageSize)), page);
  EXPECT_TRUE(image->page_problems().empty());
}

TEST(Migration, NamesAPageThatCannotBeMade) {
  MigrationStream stream;
  stream.blocks({{"pc.ram", 3 * kPageSize}});
  stream.record(0, migration::kFlagPacked, "pc.ram");
  stream.number(std::uint32_t{4});
  stream.number(~std::uint32_t{0});
  stream.zeros(kPageSize);
  stream.record(kPageSize, migration::kFlagDelta);
  stream.number(std::uint8_t{1});
  stream.number(std::uint16_t{3});
  for (const int byte : {0xFF, 0x7F, 0x01}) stream.number(static_cast<std::uint8_t>(byte));
  stream.zeros(2 * kPageSize);
  stream.end_of_part();
  stream.end();
  const TempFile file(stream.bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(page_of(*image, PhysAddr(0)).size(), 0U);
  EXPECT_EQ(page_of(*image, PhysAddr(kPageSize)).size(), 0U);
  EXPECT_EQ(page_of(*image, PhysAddr(2 * kPageSize)), Buffer(kPageSize));
  const auto problems = image->page_problems();
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_THAT(problems[0].text, HasSubstr("0x4 bytes are no page packed by zlib"));
  EXPECT_THAT(problems[1].text, HasSubstr("are no changes (XBZRLE) of a page"));
  EXPECT_EQ(problems[1].address, PhysAddr(kPageSize));
}

/// A machine with much RAM, of which all but three pages are lost.
MigrationStream large(std::string_view machine, std::uint64_t size, std::uint64_t low) {
  MigrationStream stream(machine);
  stream.blocks({{"pc.ram", size}});
  stream.page(low - kPageSize, pattern(kPageSize, 1), "pc.ram");
  stream.page(low, pattern(kPageSize, 2));
  stream.zeros(kPageSize);
  stream.end_of_part();
  return stream;
}

void expect_split(const Buffer& bytes, std::uint64_t low, const char* layout, const char* notice) {
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(page_of(*image, PhysAddr(low - kPageSize)), pattern(kPageSize, 1)) << layout;
  EXPECT_EQ(page_of(*image, PhysAddr(4 * kGiB)), pattern(kPageSize, 2)) << layout;
  EXPECT_EQ(image->memory().find(PhysAddr(low)), nullptr);
  EXPECT_EQ(image->memory().find(PhysAddr(0xA0000)), nullptr);
  EXPECT_THAT(header_of(*image).find("layout")->second, HasSubstr(layout));
  EXPECT_THAT(notices_of(*image), HasSubstr(notice));
}

TEST(Migration, SplitsRamAsTheMachineDoes) {
  auto stream = large("pc-i440fx-7.2", 4 * kGiB, 3 * kGiB);
  expect_split(stream.bytes, 3 * kGiB, "i440FX", "0xc0000000 bytes are assumed");
  stream = large("pc-q35-7.2", 4 * kGiB, 2 * kGiB);
  expect_split(stream.bytes, 2 * kGiB, "q35", "0x80000000 bytes are assumed");
  stream = large("pc-q35-7.2", 4 * kGiB, kGiB);  // max-ram-below-4g
  stream.device("mc146818rtc", 3, clock_state(kGiB, 3 * kGiB));
  stream.end();
  expect_split(stream.bytes, kGiB, "CMOS", "");
  stream = large("pc-q35-7.2", 4 * kGiB, 2 * kGiB);  // a CMOS that does not account for all RAM
  stream.device("mc146818rtc", 3, clock_state(kGiB, 2 * kGiB));
  stream.end();
  expect_split(stream.bytes, 2 * kGiB, "q35", "are assumed");
}

TEST(Migration, ChoosesRamByName) {
  MigrationStream stream("pc-q35-4.0");
  stream.blocks({{"/objects/ram-node1", kPageSize},
                 {"pc.bios", 8 * kPageSize},
                 {"/objects/ram-node0", 2 * kPageSize},
                 {"dimm0", kPageSize}});
  stream.page(0, pattern(kPageSize, 2), "/objects/ram-node1");
  stream.page(0, pattern(kPageSize, 0), "/objects/ram-node0");
  stream.page(kPageSize, pattern(kPageSize, 1));
  stream.end_of_part();
  stream.end();
  const TempFile file(stream.bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  for (unsigned page = 0; page < 3; ++page) {
    EXPECT_EQ(page_of(*image, PhysAddr(page * kPageSize)), pattern(kPageSize, page)) << page;
  }
  EXPECT_THAT(notices_of(*image), HasSubstr("\"dimm0\" of 0x1000 bytes is left out"));
}

TEST(Migration, SaysWhichBlockItTakesForRam) {
  MigrationStream stream("virt-7.2");
  stream.blocks({{"virt.flash0", 8 * kPageSize}, {"mach-virt.ram", kPageSize}});
  stream.page(0, pattern(kPageSize, 1), "mach-virt.ram");
  stream.end_of_part();
  stream.end();
  const TempFile file(stream.bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(page_of(*image, PhysAddr(kGiB)), pattern(kPageSize, 1));
  EXPECT_EQ(image->facts().architecture, Architecture::arm64);
  EXPECT_THAT(notices_of(*image), HasSubstr("\"mach-virt.ram\", the largest one"));
}

/// Pages with fixed places in the file, as QEMU writes them with mapped-ram: page 1 of `pages`.
MigrationStream mapped_stream(std::uint64_t base = 0, std::uint64_t pages = 3) {
  MigrationStream stream;
  stream.subsection("configuration/capabilities");
  stream.number(std::uint32_t{1});
  stream.name("mapped-ram");
  stream.section(Part::section_start, MigrationStream::kRam, "ram", 4);
  stream.number((pages * kPageSize) | migration::kFlagMemorySize);
  stream.name("pc.ram");
  stream.number(pages * kPageSize);
  stream.number(std::uint32_t{1});
  stream.number(kPageSize);
  stream.number(base + stream.bytes.size() + 16);
  stream.number(base + kMiB);
  append(stream.bytes, std::uint64_t{0b010});  // room for 64
  stream.bytes.resize(kMiB);
  append(stream.bytes, pattern(kPageSize, 7));  // of no more use: its bit is clear
  append(stream.bytes, pattern(kPageSize, 8));
  stream.bytes.resize(kMiB + pages * kPageSize);
  stream.end_of_part();
  stream.part(Part::section_end, MigrationStream::kRam);
  stream.end_of_part();
  stream.end();
  return stream;
}

TEST(Migration, ReadsPagesAtFixedPlaces) {
  const TempFile file(mapped_stream().bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_EQ(page_of(*image, PhysAddr(0)), Buffer(kPageSize));
  EXPECT_EQ(page_of(*image, PhysAddr(kPageSize)), pattern(kPageSize, 8));
  EXPECT_EQ(page_of(*image, PhysAddr(2 * kPageSize)), Buffer(kPageSize));
  EXPECT_EQ(header_of(*image).find("capabilities")->second, "mapped-ram");
}

TEST(Migration, PagesBehindABitmapThatCannotBeReadAreNoZeros) {
  const Buffer bytes = mapped_stream(0, 64).bytes;
  const auto bit = std::find(bytes.begin() + 100, bytes.end(), std::byte{0b010});
  ASSERT_NE(bit, bytes.end());
  const auto cut = static_cast<std::size_t>(bit + 2 - bytes.begin());  // in the bitmap
  Buffer packed = zstd_frame(Bytes(bytes).first(cut));
  const std::size_t damaged = packed.size();
  append(packed, zstd_frame(Bytes(bytes).subspan(cut, 400 * kKiB)));
  append(packed, zstd_frame(Bytes(bytes).subspan(cut + 400 * kKiB)));
  packed[damaged + 12] ^= std::byte{0xFF};  // behind the headers of its first block
  const TempFile file(packed);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(notices_of(*image), "migration: 48 of 64 pages of RAM are not in it\n");
  EXPECT_EQ(page_of(*image, PhysAddr(kPageSize)), pattern(kPageSize, 8));
  EXPECT_EQ(page_of(*image, PhysAddr(15 * kPageSize)), Buffer(kPageSize));
  EXPECT_EQ(page_of(*image, PhysAddr(16 * kPageSize)), Buffer());
  EXPECT_EQ(page_of(*image, PhysAddr(63 * kPageSize)), Buffer());
}

TEST(Migration, PlacesThatNoFileHasAreRefused) {
  MigrationStream stream = mapped_stream();
  MigrationStream header;
  header.number(std::uint32_t{1});
  header.number(kPageSize);
  const auto at = std::search(stream.bytes.begin(), stream.bytes.end(), header.bytes.end() - 12,
                              header.bytes.end());
  ASSERT_NE(at, stream.bytes.end());
  at[20] = std::byte{1};  // the highest byte of the place of the pages: 2^56
  const TempFile file(stream.bytes);
  const auto image = Image::open(file.path());
  const std::string said = image ? notices_of(*image) : image.error().text;
  EXPECT_THAT(said, HasSubstr("its pages lie at 0x100000000100000"));
}

std::string error_of(const Buffer& bytes) {
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  return image ? "opened as " + image->format() : image.error().text;
}

TEST(Migration, SaysWhyThereIsNoPage) {
  MigrationStream stream;
  stream.blocks({{"pc.ram", kRamSize}});
  stream.end_of_part();
  stream.end();
  EXPECT_THAT(error_of(stream.bytes), HasSubstr("channels of their own (multifd)"));
  EXPECT_THAT(error_of(MigrationStream("pc", 2).bytes), HasSubstr("version 2, 3 is expected"));
  stream = MigrationStream("virt-9.0");
  stream.subsection("configuration/target-page-bits");
  stream.number(std::uint32_t{16});
  EXPECT_THAT(error_of(stream.bytes), HasSubstr("pages of 2^16 bytes, 2^12 are expected"));
  stream = MigrationStream();
  stream.subsection("configuration/new");
  EXPECT_THAT(error_of(stream.bytes), HasSubstr("unknown part \"configuration/new\""));
  stream = MigrationStream();
  stream.section(Part::section_start, MigrationStream::kRam, "ram", 3);
  EXPECT_THAT(error_of(stream.bytes), HasSubstr("\"ram\" has version 3, 4 is expected"));
}

TEST(Migration, OfQemuBefore24HasNoFooters) {
  MigrationStream stream("");
  stream.blocks({{"pc.ram", kPageSize}});
  stream.page(0, pattern(kPageSize, 1), "pc.ram");
  stream.number(migration::kFlagEnd);
  stream.part(Part::section_end, MigrationStream::kRam);
  stream.number(migration::kFlagEnd);
  stream.section(Part::section_full, 3, "cpu", 12);
  append(stream.bytes, cpu_state(0, 0));
  stream.end();
  const TempFile file(stream.bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(page_of(*image, PhysAddr(0)), pattern(kPageSize, 1));
  EXPECT_EQ(notices_of(*image), "");
}

TEST(Migration, EveryCutIsSaidAndSurvived) {
  const Buffer whole = good_stream().bytes;
  const TempFile whole_file(whole);
  const auto before = Image::open(whole_file.path());
  ASSERT_TRUE(before.has_value());
  for (std::size_t size = 1; size < whole.size();
       size += size < 200 || size + 3 > whole.size() ? 1 : 97) {
    if (size == whole.size() - 7) continue;  // whole, but for what its devices' states mean
    const TempFile file(Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    const auto image = Image::open(file.path());
    if (!image) continue;
    EXPECT_TRUE(image->truncated()) << size;
    EXPECT_NE(notices_of(*image), "") << size;
    EXPECT_LE(image->memory().present_bytes(), kRamSize) << size;
    EXPECT_EQ(page_of(*image, PhysAddr(0)), pattern(kPageSize, 0)) << size;
  }
}

class MigrationDamage : public testing::TestWithParam<Damage> {};

TEST_P(MigrationDamage, IsNamedAndSurvived) {
  expect_named_and_survived(good_stream().bytes, GetParam());
}

constexpr std::size_t kSectionAt = 8 + 5 + 13;           // of "ram"
constexpr std::size_t kListAt = kSectionAt + 5 + 4 + 8;  // of blocks
constexpr std::size_t kSecondPartAt = kListAt + 8 + 15 + 30 + 8 + 5;
constexpr std::size_t kFirstPageAt = kSecondPartAt + 5;
constexpr std::size_t kSecondPageAt = kFirstPageAt + 8 + 7 + kPageSize;

template <class T>
std::function<void(Buffer&)> set(std::size_t at, T value) {
  return [=](Buffer& bytes) { put(bytes, at, elf::ByteOrder(true)(value)); };
}

INSTANTIATE_TEST_SUITE_P(
    Each, MigrationDamage,
    testing::Values(
        Damage{"NameOfMachine", set(9, ~std::uint32_t{0}), "the name of the machine is cut"},
        Damage{"UnknownPart", set(kSectionAt, std::uint8_t{0x55}), "0x55 at 0x1a begins no part"},
        Damage{"TotalTooSmall", set(kListAt, std::uint64_t{0x1004}), "has 0x8000 bytes"},
        Damage{"TotalTooLarge", set(kListAt, ~std::uint64_t{0xFFB}), "no page of RAM in it"},
        Damage{"BlockOfHalfAPage", set(kListAt + 15, std::uint64_t{0x800}), "whole pages"},
        Damage{"SectionWithoutBeginning", set(kSecondPartAt + 1, std::uint32_t{99}),
               "section 0x63 at 0x"},
        Damage{"OtherFooter", set(kSecondPartAt - 4, std::uint32_t{99}),
               "is of section 0x63, 0x2 is expected"},
        Damage{"UnknownBlock", set(kFirstPageAt + 8, std::uint32_t{0x06585858}),
               "which is not in the list"},
        Damage{"AddressBehindBlock", set(kSecondPageAt, std::uint64_t{0x100028}), nullptr,
               "is of address 0x100000, which its block does not have", true, kPageSize},
        Damage{"UnknownFlags", set(kSecondPageAt, std::uint64_t{0x1820}), nullptr,
               "has flags 0x800", true, kPageSize},
        Damage{"Rdma", set(kSecondPageAt, std::uint64_t{0x10A0}), nullptr, "(RDMA)", true,
               kPageSize}),
    [](const auto& test) { return test.param.name; });

TEST(Migration, LibvirtsFileIsReadAroundIt) {
  const auto saved = [](std::string_view xml, std::uint32_t compression, const Buffer& stream,
                        std::string_view magic = migration::kLibvirtMagic) {
    Buffer file = text(magic);
    for (const auto word : {2U, static_cast<std::uint32_t>(xml.size() + 1), 1U, compression, 0U}) {
      append(file, word);
    }
    file.resize(sizeof(migration::LibvirtHeader));
    append(file, text(xml));
    file.emplace_back();
    append(file, stream);
    return file;
  };
  constexpr std::string_view kXml =
      "<domain type='kvm'><name>web</name><os><type arch='x86_64' "
      "machine='pc-q35-7.2'>hvm</type></os></domain>";
  const Buffer stream = large("", 4 * kGiB, 2 * kGiB).bytes;  // the machine is in the XML alone
  expect_split(saved(kXml, 0, stream), 2 * kGiB, "q35", "are assumed");
  const TempFile file(saved(kXml, 0, good_stream().bytes));
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "libvirt");
  EXPECT_EQ(header_of(*image).find("domain")->second, "web");
  EXPECT_EQ(header_of(*image).find("was_running")->second, "yes");
  EXPECT_EQ(page_of(*image, PhysAddr(kPageSize)), pattern(kPageSize, 1));

  const Buffer sparse = mapped_stream(93).bytes;
  const TempFile sparse_file(saved("", 6, sparse));
  const auto sparse_image = Image::open(sparse_file.path());
  ASSERT_TRUE(sparse_image.has_value()) << sparse_image.error().text;
  EXPECT_EQ(page_of(*sparse_image, PhysAddr(kPageSize)), pattern(kPageSize, 8));

  EXPECT_THAT(error_of(saved(kXml, 3, stream)),
              HasSubstr(fmt::format("tail -c +{} FILE | xz -dc > STREAM", 92 + kXml.size() + 2)));
  EXPECT_THAT(error_of(saved(kXml, 99, stream)), HasSubstr("compression 99, 0 to 6 are known"));
  EXPECT_THAT(error_of(saved(kXml, 0, text("no stream"))), HasSubstr("no migration stream at 0x"));
  EXPECT_THAT(error_of(text(migration::kLibvirtMagic)), HasSubstr("its header alone has 92"));
  const TempFile part(saved(kXml, 0, good_stream().bytes, migration::kLibvirtPartMagic));
  EXPECT_THAT(notices_of(*Image::open(part.path())), HasSubstr("was not completed"));
}

/// The obvious twin: one entry a page.
TEST(PageIndex, AgreesWithAMapOfPages) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    migration::PageIndex index;
    std::map<std::uint64_t, std::pair<migration::Stored, std::uint64_t>> twin;
    std::uint64_t at = 100;
    std::uint64_t page = 0;
    for (int i = 0; i < 300; ++i) {
      page = random() % 4 == 0 ? random() % 100 : page + 1;
      const auto stored = static_cast<migration::Stored>(random() % 2);
      ASSERT_TRUE(index.add(page, 1, FileOffset(at), stored));
      twin[page] = {stored, at};
      at += stored == migration::Stored::fill ? 9 : 8 + kPageSize;
    }
    index.finish();
    for (std::uint64_t i = 0; i < 500; ++i) {
      const auto* const run = index.find(i);
      ASSERT_EQ(run != nullptr, twin.count(i) != 0) << i;
      if (run == nullptr) continue;
      EXPECT_EQ(run->stored(), twin[i].first);
      EXPECT_EQ(run->at(i).value, twin[i].second);
    }
  }
}

TEST(PageIndex, RefusesMoreRunsThanAFileOfPagesHas) {
  migration::PageIndex index;
  std::uint64_t added = 0;
  while (added < 3'000'000 &&
         index.add(added * 2, 1, FileOffset(added * 9), migration::Stored::fill)) {
    ++added;
  }
  EXPECT_LT(added, 1'100'000U);

  // Places of pages that lie anywhere, behind the end of the file, too.
  migration::PageIndex mapped{FileOffset(kMiB)};
  std::uint64_t runs = 0;
  while (runs < 3'000'000 && mapped.add(runs * 2, 1, FileOffset((std::uint64_t{1} << 50U) + runs),
                                        migration::Stored::mapped)) {
    ++runs;
  }
  EXPECT_LT(runs, 1'100'000U);
}

}  // namespace
}  // namespace engram::image
