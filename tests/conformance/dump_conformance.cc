// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// DT: a dump file is one more guest memory. DT-10, 11 and 13 are where guest memory is tested.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <random>

#include "image/image.h"
#include "image/test_dmp.h"
#include "image/test_images.h"
#include "image/write.h"

namespace engram::image {
namespace {

using namespace test;
using guest::Backing;
using guest::MemoryErrc;
using testing::HasSubstr;

Result<Image> open(const Buffer& bytes) {
  const TempFile file(bytes);
  return Image::open(file.path());
}

std::optional<std::byte> byte_at(const Image& image, std::uint64_t address) {
  std::byte byte{};
  const auto outcome = image.memory().read(PhysAddr(address), {&byte, 1});
  return outcome.complete() ? std::optional(byte) : std::nullopt;
}

/// [0x1000, 0x1fff] and [0x100000, 0x100fff].
Buffer lime_of_two() {
  Buffer file;
  append_lime_range(file, 0x1000, pattern(0x1000, 1));
  append_lime_range(file, 0x100000, pattern(0x1000, 2));
  return file;
}

TEST(DT01, LimeEdgesAndHoles) {
  const auto image = open(lime_of_two());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(byte_at(*image, 0x1000), pattern(0x1000, 1).front());
  EXPECT_EQ(byte_at(*image, 0x1fff), pattern(0x1000, 1).back());
  EXPECT_EQ(byte_at(*image, 0x100000), pattern(0x1000, 2).front());
  EXPECT_EQ(byte_at(*image, 0x100fff), pattern(0x1000, 2).back());
  Buffer to(0x100);
  for (const std::uint64_t hole : {0xfffU, 0x2000U, 0xfffffU, 0x101000U}) {
    const auto outcome = image->memory().read(PhysAddr(hole), to);
    EXPECT_EQ(outcome.count, 0U) << hole;
    EXPECT_EQ(outcome.stop, MemoryErrc::invalid_guest_address) << hole;
    EXPECT_EQ(outcome.address, hole);
  }
  const auto across = image->memory().read(PhysAddr(0x1fc0), to);
  EXPECT_EQ(across.count, 0x40U);
  EXPECT_EQ(across.stop, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(across.address, 0x2000U);  // the first that is missing
}

TEST(DT02, LimeLastRecordCutByAByteAndByAPage) {
  for (const std::uint64_t lost : {std::uint64_t{1}, kPageSize}) {
    Buffer bytes = lime_of_two();
    bytes.resize(bytes.size() - lost);
    const auto image = open(bytes);
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_TRUE(image->truncated());
    EXPECT_EQ(image->memory().present_bytes(), 0x2000 - lost);
    ASSERT_EQ(image->notices().size(), 1U);
    EXPECT_THAT(image->notices()[0].text, HasSubstr(std::to_string(lost) + " bytes before"));
    Buffer to(0x1000);
    const auto outcome = image->memory().read(PhysAddr(0x100000), to);
    EXPECT_EQ(outcome.count, 0x1000 - lost);
    EXPECT_EQ(outcome.stop, MemoryErrc::source_truncated);
  }
}

TEST(DT02, LimeHeaderCut) {
  Buffer bytes = lime_of_two();
  bytes.resize(32 + 0x1000 + 31);
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), 0x1000U);
  bytes.resize(31);  // no range is left
  EXPECT_FALSE(open(bytes).has_value());
}

TEST(DT03, LimeStartAfterEnd) {
  Buffer bytes;
  append_lime_header(bytes, 0x2000, 0x1fff);
  bytes.resize(bytes.size() + 0x1000);
  const auto image = open(bytes);
  ASSERT_FALSE(image.has_value());
  EXPECT_THAT(image.error().text, HasSubstr("last byte 0x1fff lies before the first byte 0x2000"));
}

TEST(DT03, LimeOverlapFirstWinsWithAReport) {
  Buffer bytes;
  append_lime_range(bytes, 0x2000, pattern(0x1000, 1));
  append_lime_range(bytes, 0x1800, pattern(0x1000, 2));
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(byte_at(*image, 0x1fff), pattern(0x1000, 2)[0x7ff]);
  EXPECT_EQ(byte_at(*image, 0x2000), pattern(0x1000, 1)[0]);
  ASSERT_EQ(image->notices().size(), 1U);
  EXPECT_THAT(image->notices()[0].text, HasSubstr("[0x1800, 0x27ff] overlaps"));
}

TEST(DT03, LimeDescendingIsSorted) {
  Buffer bytes;
  for (const std::uint64_t page : {9U, 5U, 1U}) {
    append_lime_range(bytes, page * kPageSize, page_pattern(page));
  }
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  const auto regions = image->memory().regions();
  ASSERT_EQ(regions.size(), 3U);
  EXPECT_EQ(regions[0].start.value, 0x1000U);
  EXPECT_EQ(regions[2].start.value, 0x9000U);
  EXPECT_EQ(byte_at(*image, 0x5000), page_pattern(5)[0]);
}

TEST(DT04, LimeRangeOfOneByteAndAtTheEndOfTheAddressSpace) {
  Buffer bytes;
  append_lime_range(bytes, 0x1234, pattern(1, 1));
  append_lime_range(bytes, 0 - kPageSize, pattern(0x1000, 2));
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->notices().empty());
  EXPECT_EQ(byte_at(*image, 0x1234), pattern(1, 1)[0]);
  EXPECT_EQ(byte_at(*image, 0x1235), std::nullopt);
  EXPECT_EQ(byte_at(*image, ~0ULL), pattern(0x1000, 2).back());
  Buffer to(0x1001);
  EXPECT_EQ(image->memory().read(PhysAddr(0 - kPageSize), to).count, 0x1000U);  // no wrap
}

template <class Traits>
class DT05 : public testing::Test {};
using ElfKinds = testing::Types<Elf64Traits, Elf32Traits, Elf64BigTraits, Elf32BigTraits>;
TYPED_TEST_SUITE(DT05, ElfKinds);

TYPED_TEST(DT05, SegmentsOfEveryShape) {
  const auto image = open(elf_file<TypeParam>({
      {.physical = 0x9000, .data = pattern(0x1000, 1)},  // not sorted
      {.physical = 0x1000, .data = pattern(0x800, 2), .memory_size = 0x2000},
      {.physical = 0x20000, .memory_size = 0x1000},  // p_filesz 0
      {.physical = 0x5000, .data = pattern(0x1000, 3)},
      {.physical = 0x30000, .file_size = 0x1000, .offset = 0x7fff0000},
  }));
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->facts().byte_order, TypeParam::kBig ? std::endian::big : std::endian::little);
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), 0x2800U);
  EXPECT_EQ(byte_at(*image, 0x9fff), pattern(0x1000, 1).back());
  EXPECT_EQ(byte_at(*image, 0x5000), pattern(0x1000, 3).front());
  EXPECT_EQ(byte_at(*image, 0x17ff), pattern(0x800, 2).back());
  Buffer to(0x1000);
  for (const std::uint64_t absent : {0x1800U, 0x20000U}) {
    const auto outcome = image->memory().read(PhysAddr(absent), to);
    EXPECT_EQ(outcome.count, 0U);
    EXPECT_EQ(outcome.stop, MemoryErrc::invalid_guest_address);
  }
}

TYPED_TEST(DT05, SegmentThatExceedsTheFile) {
  Buffer bytes = elf_file<TypeParam>({{.physical = 0x1000, .data = pattern(0x1000, 1)},
                                      {.physical = 0x8000, .data = pattern(0x1000, 2)}});
  bytes.resize(bytes.size() - 0x400);
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  Buffer to(0x1000);
  const auto outcome = image->memory().read(PhysAddr(0x8000), to);
  EXPECT_EQ(outcome.count, 0xc00U);
  EXPECT_EQ(outcome.stop, MemoryErrc::source_truncated);
}

TYPED_TEST(DT05, CountInSectionZero) {
  std::vector<ElfSegment> segments(0x10001, {.data = pattern(1, 1)});
  for (std::size_t i = 0; i < segments.size(); ++i) segments[i].physical = i * 2;
  const auto image = open(elf_file<TypeParam>(segments, true));
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->ranges().size(), 0x10001U);
  EXPECT_EQ(byte_at(*image, 0x20000), pattern(1, 1)[0]);
}

void expect_page(const Image& image, std::uint64_t page) {
  Buffer bytes(kPageSize);
  EXPECT_TRUE(image.memory().read(PhysAddr(page * kPageSize), bytes).complete()) << page;
  EXPECT_EQ(bytes, page_pattern(page)) << page;
}

TEST(DT06, WindowsFullDump) {
  const auto image = open(dmp_full({{1337, 2}, {1400, 1}}));
  ASSERT_TRUE(image.has_value()) << image.error().text;
  ASSERT_EQ(image->ranges().size(), 2U);
  EXPECT_EQ(image->ranges().front().offset.value, 0x2000U);
  EXPECT_EQ(image->ranges().front().size, 2 * kPageSize);  // the second at 0x3000
  EXPECT_EQ(vector_of(image->ranges())[1].offset.value, 0x4000U);
  for (const std::uint64_t page : {1337U, 1338U, 1400U}) expect_page(*image, page);
  EXPECT_EQ(byte_at(*image, 1339 * kPageSize), std::nullopt);
  EXPECT_EQ(byte_at(*image, 1337 * kPageSize - 1), std::nullopt);
}

TEST(DT07, WindowsBitmap) {
  for (const std::uint64_t bits : {66U, 67U, 71U}) {
    const auto image = open(dmp_bitmap({{0, 3}, {5, 1}, {63, 3}}, bits, 5));
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_TRUE(image->notices().empty());
    std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
    for (const Range& range : image->ranges()) {
      runs.emplace_back(range.start.value / kPageSize, range.size / kPageSize);
    }
    EXPECT_THAT(runs,
                testing::ElementsAre(std::pair(0U, 3U), std::pair(5U, 1U), std::pair(63U, 3U)));
    for (const std::uint64_t page : {0U, 1U, 2U, 5U, 63U, 64U, 65U}) expect_page(*image, page);
  }
}

TEST(DT08, WindowsRangeTables) {
  for (const std::uint32_t type : {8U, 10U}) {
    const Buffer good = dmp_ranges({{1, 2}, {0x100, 1}}, type);
    const auto image = open(good);
    ASSERT_TRUE(image.has_value()) << image.error().text;
    for (const std::uint64_t page : {1U, 2U, 0x100U}) expect_page(*image, page);

    Buffer beyond = good;
    put(beyond, 0x2048, std::uint64_t{0x1000});  // the second pair's count
    EXPECT_FALSE(open(beyond).has_value());

    Buffer odd_size = good;
    put(odd_size, 0x2010, load<std::uint64_t>(good, 0x2010).value() + 8);
    put(odd_size, 0x2018, load<std::uint64_t>(good, 0x2018).value() + 8);
    EXPECT_FALSE(open(odd_size).has_value());
  }
}

/// Page number to whether it is stored: pages of a memory, some of them zeros, with gaps.
struct SparseMemory {
  std::map<std::uint64_t, Buffer> pages;
  guest::Memory memory;
};

SparseMemory random_memory(std::mt19937_64& random) {
  SparseMemory sparse;
  guest::Regions regions;
  std::uint64_t page = random() % 4;
  const std::size_t count = 1 + random() % 60;
  const auto host = std::make_shared<std::vector<Buffer>>();
  host->reserve(count);
  for (std::size_t i = 0; i < count; ++i, page += 1 + (random() % 3 == 0 ? random() % 5000 : 0)) {
    const bool declared_zero = random() % 8 == 0;
    const bool zeros = declared_zero || random() % 4 == 0;
    const Buffer bytes = zeros ? Buffer(kPageSize) : page_pattern(page);
    sparse.pages[page] = bytes;
    guest::Region region;
    region.start = PhysAddr(page * kPageSize);
    region.size = kPageSize;
    region.backing = declared_zero ? Backing::zero : Backing::host;
    if (!declared_zero) region.set_host(host->emplace_back(bytes).data());
    regions.push_back(region);
  }
  auto memory = guest::Memory::create(std::move(regions), host);
  EXPECT_TRUE(memory.has_value());
  sparse.memory = std::move(*memory);
  return sparse;
}

/// The present map, page by page up to one past the last, and the bytes.
void expect_same(const SparseMemory& expected, const guest::Memory& found) {
  EXPECT_EQ(found.present_bytes(), expected.pages.size() * kPageSize);
  for (std::uint64_t page = 0; page <= expected.pages.rbegin()->first + 1; ++page) {
    Buffer bytes(kPageSize);
    const auto outcome = found.read(PhysAddr(page * kPageSize), bytes);
    const auto wanted = expected.pages.find(page);
    if (wanted == expected.pages.end()) {
      ASSERT_EQ(outcome.count, 0U) << page;
      ASSERT_EQ(outcome.stop, MemoryErrc::invalid_guest_address) << page;
    } else {
      ASSERT_TRUE(outcome.complete()) << page;
      ASSERT_EQ(bytes, wanted->second) << page;
    }
  }
}

TEST(DT09, WriterToReader) {
  std::mt19937_64 random(9);
  const std::string folder = testing::TempDir();
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(round);
    const SparseMemory sparse = random_memory(random);
    for (const bool elf : {false, true}) {
      const std::string path = folder + "/engram-dt09-" + std::to_string(::getpid());
      auto sink = FileSink::create(path);
      ASSERT_TRUE(sink.has_value()) << sink.error().text;
      const auto written =
          elf ? write_elf(sparse.memory, Facts(), *sink) : write_lime(sparse.memory, *sink);
      ASSERT_TRUE(written.has_value()) << written.error().text;
      ASSERT_TRUE(sink->finish().has_value());
      const auto image = Image::open(path);
      std::filesystem::remove(path);
      ASSERT_TRUE(image.has_value()) << image.error().text;
      EXPECT_EQ(image->format(), elf ? "elf" : "lime");
      EXPECT_TRUE(image->notices().empty());
      expect_same(sparse, image->memory());
    }
  }
}

// ---- DT12

/// A file in memory that is written anew for each mutation.
class MutantFile {
 public:
  MutantFile() : fd_(::memfd_create("engram_mutant", MFD_CLOEXEC)) {}
  MutantFile(const MutantFile&) = delete;
  MutantFile& operator=(const MutantFile&) = delete;
  ~MutantFile() { ::close(fd_); }

  Result<Image> open(const Buffer& bytes) {
    EXPECT_EQ(::ftruncate(fd_, std::ssize(bytes)), 0);
    EXPECT_EQ(::pwrite(fd_, bytes.data(), bytes.size(), 0), std::ssize(bytes));
    return Image::open("/proc/self/fd/" + std::to_string(fd_));
  }

 private:
  int fd_;
};

/// Numbers that break things, and any others.
std::uint64_t nasty_number(std::mt19937_64& random) {
  constexpr std::uint64_t kNumbers[] = {
      0,          1,          2,          0xffff,     0x10000,    0xffffffff, ~0ULL,  ~0ULL - 0xfff,
      1ULL << 31, 1ULL << 32, 1ULL << 40, 1ULL << 52, 1ULL << 60, 1ULL << 63, 0x1000, 0x2000};
  const std::uint64_t pick = random();
  if (pick % 4 == 0) return random();
  return kNumbers[(pick >> 8) % std::size(kNumbers)] + (pick % 4 == 1 ? random() % 33 - 16 : 0);
}

/// Bytes [0, headers) are changed in up to four places; now and then the file is cut.
Buffer mutant(const Buffer& good, std::size_t headers, std::mt19937_64& random) {
  Buffer bytes = good;
  for (std::uint64_t i = 0, changes = 1 + random() % 4; i < changes; ++i) {
    const std::size_t width = std::size_t{1} << (random() % 4);
    const std::size_t at = random() % (headers - width + 1) & ~(random() % 4 == 0 ? 0 : width - 1);
    const std::uint64_t number = nasty_number(random);
    std::memcpy(bytes.data() + at, &number, width);
  }
  if (random() % 8 == 0) bytes.resize(random() % bytes.size() + 1);
  return bytes;
}

/// What the image says to have can be read, and nothing around it.
void expect_sound(const Image& image) {
  std::array<std::byte, 64> to = {};
  const auto regions = image.memory().regions();
  const std::size_t step = regions.size() / 64 + 1;
  for (std::size_t i = 0; i < regions.size(); i += step) {
    const guest::Region& region = regions[i];
    ASSERT_TRUE(i == 0 || regions[i - 1].last() < region.start);
    for (const PhysAddr at : {region.start, region.start + region.size / 2, region.last()}) {
      const auto want = std::min<std::uint64_t>(to.size(), region.last() - at + 1);
      const auto outcome = image.memory().read(at, std::span(to).first(want));
      ASSERT_EQ(outcome.complete(), region.backing != Backing::unreadable);
    }
  }
}

[[maybe_unused]] std::uint64_t peak_bytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * kKiB;
}

// fuzz/image.cc mutates further: millions of inputs, guided by coverage.
TEST(DT12, MutatedHeadersOfEveryFormat) {
  struct Sample {
    const char* format;
    Buffer bytes;
    std::size_t headers;
  };
  const PageRuns runs = {{1, 2}, {5, 1}, {0x40, 1}};
  const std::vector<ElfSegment> segments = {{.physical = 0x1000, .data = pattern(0x1000, 1)},
                                            {.physical = 0x5000, .data = pattern(0x1000, 2)}};
  const Sample samples[] = {
      {"lime", lime_of_two(), 32},
      {"lime of tiny ranges",
       [] {
         Buffer bytes;
         for (std::uint64_t i = 0; i < 32; ++i) append_lime_range(bytes, i * 16, pattern(8, 1));
         return bytes;
       }(),
       32 * 40},
      {"elf64", elf_file(segments), 64 + 2 * 56},
      {"elf64 counted in a section", elf_file(segments, true), 64 + 64 + 2 * 56},
      {"elf32", elf_file<Elf32Traits>(segments), 52 + 2 * 32},
      {"elf64 big-endian", elf_file<Elf64BigTraits>(segments), 64 + 2 * 56},
      {"dmp full", dmp_full(runs), 0x98 + 3 * 16},
      {"dmp full, 32 bits", dmp_full32(runs), 0x6C + 3 * 8},
  };
  // Of these only what follows the dump header.
  const Sample described[] = {
      {"dmp bitmap", dmp_bitmap(runs, 75), 0x48},
      {"dmp kernel ranges", dmp_ranges(runs, 8), 0x70},
      {"dmp complete ranges", dmp_ranges(runs, 10), 0x70},
  };
  [[maybe_unused]] const std::uint64_t before = peak_bytes();
  std::mt19937_64 random(12);
  MutantFile file;
  std::uint64_t tried = 0, opened = 0;
  const auto attempt = [&](const Buffer& bytes) {
    ++tried;
    const auto image = file.open(bytes);
    if (!image) {
      ASSERT_FALSE(image.error().text.empty());
      return;
    }
    ++opened;
    expect_sound(*image);
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < until && !HasFatalFailure()) {
    for (const Sample& sample : samples) {
      for (int i = 0; i < 20; ++i) attempt(mutant(sample.bytes, sample.headers, random));
    }
    for (const Sample& sample : described) {
      const Buffer tail(sample.bytes.begin() + kDmpHeader, sample.bytes.end());
      for (int i = 0; i < 20; ++i) {
        Buffer bytes(sample.bytes.begin(), sample.bytes.begin() + kDmpHeader);
        append(bytes, mutant(tail, sample.headers, random));
        attempt(bytes);
      }
    }
  }
  RecordProperty("mutations", std::to_string(tried));
  RecordProperty("opened", std::to_string(opened));
  EXPECT_GT(tried, 5'000U);
  EXPECT_GT(opened, tried / 20);  // else the mutations test nothing but the first check
  EXPECT_LT(opened, tried);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which keep what was freed
  EXPECT_LT(peak_bytes() - before, 256 * kMiB);
#endif
}

}  // namespace
}  // namespace engram::image
