// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "image/dmp_pages.h"
#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_dmp.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

const PageRuns kRuns = {{1, 3}, {0x200, 2}, {0x100100, 1}};  // the last one above 4 GiB

/// All pages of `runs` are there with their bytes, and no others.
void expect_pages(const Result<Image>& image, const PageRuns& runs) {
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "dmp");
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_FALSE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), pages_of(runs) * kPageSize);
  for (const auto& [base, count] : runs) {
    for (std::uint64_t page = base; page < base + count; ++page) {
      Buffer bytes(kPageSize);
      EXPECT_TRUE(image->memory().read(PhysAddr(page * kPageSize), bytes).complete()) << page;
      EXPECT_EQ(bytes, page_pattern(page)) << page;
    }
  }
}

TEST(Dmp, EveryTypeHasTheSamePages) {
  expect_pages(open_dump(dmp_full(kRuns)), kRuns);
  expect_pages(open_dump(dmp_bitmap(kRuns, 0x100101, 5)), kRuns);
  expect_pages(open_dump(dmp_bitmap(kRuns, 0x100108, 6)), kRuns);
  for (const std::uint32_t type : {8U, 9U, 10U})
    expect_pages(open_dump(dmp_ranges(kRuns, type)), kRuns);
  expect_pages(open_dump(dmp_full32(kRuns)), kRuns);
  expect_pages(open_dump(dmp_bitmap(kRuns, 0x100101, 5, false)), kRuns);
}

TEST(Dmp, Facts) {
  const auto image = open_dump(dmp_full(kRuns));
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->facts().architecture, Architecture::x86_64);
  ASSERT_EQ(image->facts().cpus.size(), 1U);
  const CpuRegisters& cpu = image->facts().cpus[0];
  EXPECT_EQ(cpu.source, "DMP");
  EXPECT_EQ(cpu.rip, kDmpRip);
  EXPECT_EQ(cpu.rsp, 0xfffff80500001000U);
  EXPECT_EQ(cpu.rflags, 0x246U);
  ASSERT_TRUE(cpu.control.has_value());
  EXPECT_EQ(cpu.control->cr3, kDmpRoot);
}

TEST(Dmp, CrashHeader) {
  Buffer file = dmp_full(kRuns);
  put(file, 0x20, std::uint64_t{0xfffff80500002000});
  put(file, 0x34, 8U);
  put(file, 0x38, 0x1000007eU);
  put(file, 0x40, std::uint64_t{5});
  put(file, 0xF00, 0x80000003U);
  put(file, 0xF10, kDmpRip);
  put(file, 0xF18, 1U);
  put(file, 0xF20, std::uint64_t{7});
  put(file, 0xFA8, std::uint64_t{132'000'000'000'000'000});
  put(file, 0xFB0, std::uint64_t{0x0031776172});  // "raw1"
  put(file, 0x1054, 17U);
  const auto image = open_dump(file);
  ASSERT_TRUE(image.has_value());
  ASSERT_TRUE(image->facts().crash.has_value());
  const CrashHeader& crash = *image->facts().crash;
  EXPECT_TRUE(crash.is_64_bit);
  EXPECT_EQ(crash.dump_type, 1U);
  EXPECT_EQ(crash.build, 19041U);
  EXPECT_EQ(crash.directory_table_base, kDmpRoot);
  EXPECT_EQ(crash.loaded_modules, VirtAddr(0xfffff80500002000));
  EXPECT_EQ(crash.processors, 8U);
  EXPECT_EQ(crash.bugcheck_code, 0x1000007eU);
  EXPECT_EQ(crash.bugcheck_parameters[0], 5U);
  ASSERT_TRUE(crash.exception.has_value());
  EXPECT_EQ(crash.exception->address, kDmpRip);
  EXPECT_EQ(crash.exception->parameters, std::vector<std::uint64_t>{7});
  EXPECT_EQ(crash.system_time, 132'000'000'000'000'000U);
  EXPECT_EQ(crash.comment, "raw1");
  EXPECT_EQ(crash.boot_id, 17U);
  EXPECT_EQ(crash.context.size(), 0xF00U - 0x348U);
  // Fields that hold the filler are not set.
  EXPECT_FALSE(crash.processes || crash.debugger_data || crash.bugcheck_parameters[1]);
  EXPECT_FALSE(crash.version_user || crash.up_time || crash.attributes || crash.product_type);
}

TEST(Dmp, CrashHeaderOf32Bit) {
  Buffer file = dmp_full32(kRuns);
  put(file, 0x18, 0x82001000U);
  put(file, 0x28, 0xd1U);
  put(file, 0x5C, std::uint8_t{1});
  put(file, 0x60, 0x82002000U);
  put(file, 0x7D0, 0xc0000005U);
  put(file, 0x7DC, 0x82003000U);
  put(file, 0x7E0, 99U);  // parameters: more than there is room for
  const auto image = open_dump(file);
  ASSERT_TRUE(image.has_value());
  ASSERT_TRUE(image->facts().crash.has_value());
  const CrashHeader& crash = *image->facts().crash;
  EXPECT_FALSE(crash.is_64_bit);
  EXPECT_EQ(crash.build, 7601U);
  EXPECT_EQ(crash.machine, kMachineI386);
  EXPECT_EQ(crash.directory_table_base, 0x185000U);
  EXPECT_EQ(crash.loaded_modules, VirtAddr(0x82001000));
  EXPECT_EQ(crash.debugger_data, VirtAddr(0x82002000));
  EXPECT_EQ(crash.bugcheck_code, 0xd1U);
  EXPECT_EQ(crash.pae, true);
  ASSERT_TRUE(crash.exception.has_value());
  EXPECT_EQ(crash.exception->address, 0x82003000U);
  EXPECT_TRUE(crash.exception->parameters.empty());
  EXPECT_TRUE(crash.context.empty());
}

TEST(Dmp, FactsThatAreNotFilledIn) {
  Buffer no_context = dmp_full(kRuns);
  put(no_context, 0x348 + 0x30, 0x45474150U);
  const auto without_context = open_dump(no_context);
  ASSERT_TRUE(without_context.has_value());
  ASSERT_EQ(without_context->facts().cpus.size(), 1U);
  EXPECT_EQ(without_context->facts().cpus[0].rip, 0U);
  EXPECT_EQ(without_context->facts().cpus[0].control->cr3, kDmpRoot);

  Buffer no_root = dmp_full(kRuns);
  put(no_root, 0x10, std::uint64_t{0x4547415045474150});
  const auto without_root = open_dump(no_root);
  ASSERT_TRUE(without_root.has_value());
  EXPECT_TRUE(without_root->facts().cpus.empty());
}

TEST(Dmp, FactsOfOtherMachines) {
  Buffer arm = dmp_full(kRuns);
  put(arm, 0x30, 0xAA64U);
  const auto arm_image = open_dump(arm);
  ASSERT_TRUE(arm_image.has_value());
  EXPECT_EQ(arm_image->facts().architecture, Architecture::arm64);
  EXPECT_TRUE(arm_image->facts().cpus.empty());

  const auto i386 = open_dump(dmp_full32(kRuns));
  ASSERT_TRUE(i386.has_value());
  EXPECT_EQ(i386->facts().architecture, Architecture::x86);
  ASSERT_EQ(i386->facts().cpus.size(), 1U);
  EXPECT_EQ(i386->facts().cpus[0].control->cr3, 0x185000U);
}

TEST(Dmp, BitmapAgainstASetOfPages) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 40; ++round) {
    const std::uint64_t bits = 1 + random() % 700;
    const unsigned density = 1 + static_cast<unsigned>(random() % 8);
    PageRuns runs;
    for (std::uint64_t bit = 0; bit < bits; ++bit) {
      if (random() % 8 < density) runs.emplace_back(bit, 1);
    }
    if (runs.empty()) continue;
    SCOPED_TRACE(round);
    expect_pages(open_dump(dmp_bitmap(runs, bits)), runs);
  }
}

TEST(Dmp, RunsAreCoalesced) {
  const auto image = open_dump(dmp_bitmap({{0, 130}, {192, 64}}, 256));
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->ranges().size(), 2U);
  const auto parts = open_dump(dmp_full({{1, 1}, {2, 2}, {4, 1}}));
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->ranges().size(), 3U);
  EXPECT_EQ(parts->memory().regions().size(), 1U);
}

TEST(Dmp, BitmapThatDoesNotEndWithAByte) {
  Buffer bytes = dmp_bitmap({{0, 1}, {8, 2}}, 10);
  bytes[kDmpHeader + 0x38 + 1] |= std::byte{0xFC};  // bits that are not part of it
  expect_pages(open_dump(bytes), {{0, 1}, {8, 2}});
}

TEST(Dmp, RangeTableEndsWithTheTotal) {
  // Type 10: what follows the last range is not looked at. Types 8 and 9 go on to a page 0.
  Buffer bytes = dmp_ranges(kRuns, 10);
  put(bytes, 0x2030 + kRuns.size() * 16, std::uint64_t{0x5000});
  put(bytes, 0x2038 + kRuns.size() * 16, std::uint64_t{1} << 60);
  expect_pages(open_dump(bytes), kRuns);
  put(bytes, 0xF98, 8U);
  const auto image = open_dump(bytes);
  ASSERT_FALSE(image.has_value());
  EXPECT_THAT(image.error().text, HasSubstr("0x1000000000000000 pages from page 0x5000"));
}

TEST(Dmp, RangeTableWithoutAnEnd) {
  Buffer bytes = dmp_ranges({{1, 1}, {5, 1}}, 8);
  // The room for a third range is taken out.
  bytes.erase(bytes.begin() + 0x2050, bytes.begin() + 0x2060);
  put(bytes, 0x2010, std::uint64_t{0x30});
  put(bytes, 0x2018, std::uint64_t{0x2050});
  expect_pages(open_dump(bytes), {{1, 1}, {5, 1}});
}

TEST(Dmp, SparseBitmapOfManyPagesIsBounded) {
  // Every other page of 2^23, in a file with a page for none but the first ten: what cannot have a
  // byte is not listed without end.
  constexpr std::uint64_t kBits = std::uint64_t{1} << 23;
  Buffer bytes = dmp_bitmap({}, kBits);
  std::fill_n(bytes.begin() + kDmpHeader + 0x38, kBits / 8, std::byte{0x55});
  bytes.resize(bytes.size() + 10 * kPageSize);
  const auto image = open_dump(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), 10 * kPageSize);
  EXPECT_EQ(image->ranges().size(), 10 + dmp::PackedPages::kMostLostRuns);
  EXPECT_THAT(notices_of(*image),
              HasSubstr("4194304 runs of pages are too many for a file of 1101824 bytes; 4128758 "
                        "pages are left out"));
}

TEST(Dmp, CutInARunIsUnreadableFromThere) {
  Buffer bytes = dmp_full(kRuns);
  bytes.resize(bytes.size() - 2 * kPageSize - 1);  // a byte of the second run's first page
  const auto image = open_dump(bytes);
  ASSERT_TRUE(image.has_value());
  Buffer to(2 * kPageSize);
  auto outcome = image->memory().read(PhysAddr(0x200 * kPageSize), to);
  EXPECT_EQ(outcome.count, kPageSize - 1);
  EXPECT_EQ(outcome.stop, MemoryErrc::source_truncated);
  outcome = image->memory().read(PhysAddr(0x100100 * kPageSize), to);
  EXPECT_EQ(outcome.stop, MemoryErrc::source_truncated);
  outcome = image->memory().read(PhysAddr(0x300 * kPageSize), to);
  EXPECT_EQ(outcome.stop, MemoryErrc::invalid_guest_address);
}

TEST(Dmp, MillionRunsAreRead) {
  // Every second page: of each run of a bitmap there is one page, of few is there a byte.
  PageRuns runs;
  for (std::uint64_t page = 0; page < 64; page += 2) runs.emplace_back(page, 1);
  constexpr std::uint64_t kBits = 1U << 21U;
  Buffer bytes = dmp_bitmap(runs, kBits);
  std::fill_n(bytes.begin() + kDmpHeader + 0x38, kBits / 8, std::byte{0x55});
  put(bytes, kDmpHeader + 0x28, kBits / 2);
  const auto image = open_dump(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), runs.size() * kPageSize);
  EXPECT_LT(image->ranges().size(), 70'000U);
  EXPECT_THAT(notices_of(*image), HasSubstr("1048576 runs of pages are too many for a file of"));
}

// ---- Damage: one way a case

constexpr std::size_t kBitmapAt = kDmpHeader;
constexpr std::size_t kRangesAt = 0x2030;
constexpr std::uint64_t kHuge = std::uint64_t{1} << 60;

template <class T>
std::function<void(Buffer&)> set(std::size_t at, T value) {
  return [=](Buffer& bytes) { put(bytes, at, value); };
}
std::function<void(Buffer&)> cut(std::size_t size) {
  return [=](Buffer& bytes) { bytes.resize(size); };
}
std::function<void(Buffer&)> cut_off(std::size_t size) {
  return [=](Buffer& bytes) { bytes.resize(bytes.size() - size); };
}

std::string name_of(const testing::TestParamInfo<Damage>& test) {
  return test.param.name;
}

class DmpFullDamage : public testing::TestWithParam<Damage> {};
TEST_P(DmpFullDamage, IsNamedAndSurvived) {
  expect_named_and_survived(dmp_full(kRuns), GetParam());
}
const Damage kFullDamages[] = {
    {"Valid", set(4, 0x36365544U), "raw: no known format"},
    {"CutInTheHeader", cut(0x1FFF), "dmp: the file has 8191 bytes, its header alone has 8192"},
    {"CutAfterTheSignature", cut(8), "dmp: the file has 8 bytes, its header alone has 8192"},
    {"CutAfterTheHeader", cut(0x2000), "dmp: the file has no byte of its 3 runs of pages"},
    {"UnknownType", set(0xF98, 0x77U), "dmp: type 0x77 at 0xf98 is not one with physical pages"},
    {"Summary", set(0xF98, 2U), "dmp: a summary dump of Windows 7 or older (type 2)"},
    {"HeaderOnly", set(0xF98, 3U), "dmp: type 0x3 at 0xf98 is not one with physical pages"},
    {"Encrypted", set(0x1050, 0x100U), "dmp: the dump is encrypted"},
    {"NoRoomForIt", set(0x1050, 4U), nullptr, "there was not enough room for the dump"},
    {"NoRuns", set(0x88, 0U), "dmp: no physical page in it"},
    {"RunsNotFilledIn", set(0x88, 0x45474150U), "the table of runs at 0x88 is not filled in"},
    {"RunsWithoutRoom", set(0x88, 43U), "dmp: 43 runs at 0x88, at most 42 fit there"},
    {"MoreRunsThanFilledIn", set(0x88, 4U), nullptr,
     "dmp: run 3 of 4 at 0xc8: 0x4547415045474150 pages from page 0x4547415045474150 exceed"},
    {"FewerRuns", set(0x88, 2U), nullptr, "dmp: 6 pages are declared, the runs have 5", false,
     0x5000},
    {"DeclaredPages", set(0x90, std::uint64_t{7}), nullptr, "dmp: 7 pages are declared"},
    {"CountHuge", set(0xB0, kHuge), nullptr,
     "dmp: run 1 of 3 at 0xa8: 0x1000000000000000 pages from page 0x200 exceed 2^64 bytes; the "
     "runs before it are used",
     false, 0x3000},
    {"CountLarge", set(0xB0, std::uint64_t{1} << 40), nullptr,
     "dmp: run 1 at 0x5000: [0x200000, 0x100000001fffff]: the file ends", true, 0x6000},
    {"PageHuge", set(0xA8, kHuge), nullptr, "exceed 2^64 bytes", false, 0x3000},
    {"PageBeyondTheAddressSpace", set(0xA8, (std::uint64_t{1} << 52) - 1), nullptr,
     "dmp: run 1 of 3 at 0xa8: 0x2 pages from page 0xfffffffffffff exceed 2^64", false, 0x3000},
    {"FirstCountHuge", set(0xA0, kHuge), "dmp: no physical page in it; dmp: run 0 of 3 at 0x98"},
    {"EmptyRun", set(0xA0, std::uint64_t{0}), nullptr, "the runs have 3", false, 0x3000},
    {"SameRunTwice", set(0xA8, std::uint64_t{1}), nullptr,
     "dmp: range [0x1000, 0x2fff] overlaps an earlier one", false, 0x4000},
    {"CutByOneByte", cut_off(1), nullptr,
     "dmp: run 2 at 0x7000: [0x100100000, 0x100100fff]: the file ends 1 bytes before", true,
     0x5fff},
    {"CutByTwoRuns", cut_off(3 * kPageSize), nullptr, "(1 more like this)", true, 0x3000},
    {"BytesAfterTheEnd", [](Buffer& b) { b.resize(b.size() + 100); }, nullptr},
};
INSTANTIATE_TEST_SUITE_P(Each, DmpFullDamage, testing::ValuesIn(kFullDamages), name_of);

class DmpBitmapDamage : public testing::TestWithParam<Damage> {};
TEST_P(DmpBitmapDamage, IsNamedAndSurvived) {
  expect_named_and_survived(dmp_bitmap({{0, 3}, {5, 1}, {63, 3}}, 75), GetParam());
}
const Damage kBitmapDamages[] = {
    {"Signature", set(kBitmapAt, 0x504D4452U), "dmp: no header of a bitmap at 0x2000"},
    {"Valid", set(kBitmapAt + 4, 0x34365544U), "dmp: no header of a bitmap at 0x2000"},
    {"CutInItsHeader", cut(kBitmapAt + 0x37), "the header of its bitmap ends at 0x2038"},
    {"CutInTheBitmap", cut(kBitmapAt + 0x39),
     "the first page is said to lie at 0x3000, the file ends at 0x2039"},
    {"CutAtTheFirstPage", cut(0x3000), "at 0x3000, the file ends at 0x3000"},
    {"CutByOneByte", cut_off(1), nullptr, "the file ends 1 bytes before the run does", true,
     0x6fff},
    {"CutByTwoRuns", cut_off(4 * kPageSize), nullptr, "(1 more like this)", true, 0x3000},
    {"FirstPageInTheBitmap", set(kBitmapAt + 0x20, std::uint64_t{0x2041}),
     "the first page is said to lie at 0x2041, before the end 0x2042 of the headers"},
    {"FirstPageZero", set(kBitmapAt + 0x20, std::uint64_t{0}), "before the end 0x2042"},
    {"FirstPageBeyondTheFile", set(kBitmapAt + 0x20, std::uint64_t{1} << 62),
     "the first page is said to lie at 0x4000000000000000, the file ends at 0xa000"},
    {"PagesHuge", set(kBitmapAt + 0x30, kHuge),
     "dmp: a bitmap of 0x1000000000000000 pages at 0x2000, at most 0x80000000 are expected"},
    {"PagesOf2To40", set(kBitmapAt + 0x30, std::uint64_t{1} << 40), "at most 0x80000000"},
    {"PagesMoreThanTheBitmap", set(kBitmapAt + 0x30, std::uint64_t{1} << 20),
     "at 0x3000, before the end 0x22038 of the headers"},
    {"PagesZero", set(kBitmapAt + 0x30, std::uint64_t{0}), "dmp: no physical page in it"},
    {"FewerPages", set(kBitmapAt + 0x30, std::uint64_t{64}), nullptr,
     "dmp: 7 pages are declared, the bitmap has 5; the bitmap is used", false, 0x5000},
    {"DeclaredPages", set(kBitmapAt + 0x28, std::uint64_t{8}), nullptr,
     "dmp: 8 pages are declared, the bitmap has 7"},
    {"NoBits", [](Buffer& b) { std::fill_n(b.begin() + kBitmapAt + 0x38, 10, std::byte{}); },
     "dmp: no physical page in it; dmp: 7 pages are declared, the bitmap has 0"},
};
INSTANTIATE_TEST_SUITE_P(Each, DmpBitmapDamage, testing::ValuesIn(kBitmapDamages), name_of);

class DmpRangesDamage : public testing::TestWithParam<Damage> {};
TEST_P(DmpRangesDamage, IsNamedAndSurvived) {
  expect_named_and_survived(dmp_ranges(kRuns, 8), GetParam());
}
const Damage kRangeDamages[] = {
    {"Marker", set(0x2000, 0x41U), "dmp: no header of ranges at 0x2000: 0x41"},
    {"Signature", set(0x2004, 0x504D4453U), "dmp: no header of ranges at 0x2000"},
    {"Valid", set(0x2008, 0U), "dmp: no header of ranges at 0x2000"},
    {"CutInItsHeader", cut(0x202F), "the header of its ranges ends at 0x2030"},
    {"CutInTheTable", cut(0x2050), "at 0x2070, the file ends at 0x2050"},
    {"MetadataZero", set(0x2010, std::uint64_t{0}), "has 0x0 bytes, a multiple of 16"},
    {"MetadataNoMultipleOf16", set(0x2010, std::uint64_t{0x58}),
     "has 0x58 bytes, a multiple of 16"},
    {"MetadataHuge", set(0x2010, std::uint64_t{0} - 16),
     "has 0xfffffffffffffff0 bytes, but the first page lies at 0x2070"},
    {"FirstPageElsewhere", set(0x2018, std::uint64_t{0x2080}), "but the first page lies at 0x2080"},
    {"FirstPageZero", set(0x2018, std::uint64_t{0}), "but the first page lies at 0x0"},
    {"CountHuge", set(kRangesAt + 8, kHuge), "dmp: the range at 0x2030: 0x1000000000000000 pages"},
    {"CountBeyondTheFile", set(kRangesAt + 24, std::uint64_t{5}),
     "dmp: the ranges need a file of 0xb070 bytes, it has 0x8070 and should have 0x8070"},
    {"PageHuge", set(kRangesAt, kHuge),
     "dmp: the range at 0x2030: 0x3 pages from page 0x1000000000000000 exceed 2^64 bytes"},
    {"NoRanges", set(kRangesAt, std::uint64_t{0}), "dmp: no physical page in it"},
    {"CutByOneByte", cut_off(1), nullptr, "the file ends 1 bytes before the run does", true,
     0x5fff},
    {"CutByTwoRuns", cut_off(3 * kPageSize), nullptr, "(1 more like this)", true, 0x3000},
};
INSTANTIATE_TEST_SUITE_P(Each, DmpRangesDamage, testing::ValuesIn(kRangeDamages), name_of);

class DmpCountedRangesDamage : public testing::TestWithParam<Damage> {};
TEST_P(DmpCountedRangesDamage, IsNamedAndSurvived) {
  expect_named_and_survived(dmp_ranges(kRuns, 10), GetParam());
}
const Damage kCountedRangeDamages[] = {
    {"CountBeyondTheFile", set(kRangesAt + 24, std::uint64_t{5}),
     "dmp: the range at 0x2040: 0x5 pages, 0x3 are left of a total of 0x6"},
    {"TotalTooSmall", set(0x2028, std::uint64_t{4}),
     "dmp: the range at 0x2040: 0x2 pages, 0x1 are left of a total of 0x4"},
    {"TotalTooLarge", set(0x2028, std::uint64_t{7}), nullptr,
     "dmp: 7 pages are declared, the table of ranges has 6"},
    {"TotalZero", set(0x2028, std::uint64_t{0}), "dmp: no physical page in it"},
    {"CutAndSizeUnknown",
     [](Buffer& b) {
       put(b, 0xFA0, std::uint64_t{0x4547415045474150});
       b.pop_back();
     },
     nullptr, "the file ends 1 bytes before the run does", true, 0x5fff},
};
INSTANTIATE_TEST_SUITE_P(Each, DmpCountedRangesDamage, testing::ValuesIn(kCountedRangeDamages),
                         name_of);

TEST(Dmp, RangesBeyondTheFileAreRefusedUnlessItWasLonger) {
  // Types 8 and 9 have no total: only the size in the header can say that the file was cut.
  Buffer bytes = dmp_ranges(kRuns, 9);
  bytes.pop_back();
  EXPECT_TRUE(open_dump(bytes).has_value());
  put(bytes, 0xFA0, std::uint64_t{0x4547415045474150});
  const auto image = open_dump(bytes);
  ASSERT_FALSE(image.has_value());
  EXPECT_THAT(image.error().text,
              HasSubstr("need a file of 0x8070 bytes, it has 0x806f and should have 0x0"));
}

}  // namespace
}  // namespace engram::image
