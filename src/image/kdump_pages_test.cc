// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Finding, unpacking and caching the pages of a kdump.

#include "image/kdump_pages.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "guest/scan.h"
#include "image/kdump_header.h"
#include "image/test_kdump.h"

namespace engram::image {
namespace {

using namespace test;

/// A dump of many pages, and its parts as the reader has them.
struct Indexed {
  explicit Indexed(Kdump dump) : Indexed(dump.file()) {}
  explicit Indexed(Buffer file) : bytes(std::move(file)) {
    const FileView view(bytes);
    Contents contents;
    auto plain = kdump::PlainFile::open(view, contents).value();
    auto header = kdump::read_header(plain, contents).value();
    pages.emplace_back(std::move(plain), std::move(header));
    pages[0].index([](std::uint64_t, std::uint64_t, std::uint64_t) {});
  }
  Buffer bytes;
  std::vector<kdump::FilePages> pages;
};

Kdump random_dump(std::uint64_t page_count, double density, unsigned seed) {
  Kdump dump;
  dump.page_count = page_count;
  dump.codec = Codec::snappy;
  dump.stored = {};
  dump.left_out = {};
  std::mt19937 random(seed);
  std::bernoulli_distribution is_stored(density);
  for (std::uint64_t page = 0; page < page_count; ++page) {
    if (is_stored(random)) dump.stored.push_back(page);
  }
  return dump;
}

TEST(KdumpPages, DescriptorsAreFoundAsByCounting) {
  for (const auto& [first, end] :
       {std::pair{0U, 0U}, {4095U, 13000U}, {5000U, 5003U}, {8192U, 12288U}}) {
    for (const double density : {0.02, 0.5, 0.98}) {
      Kdump dump = random_dump(13000, density, first + 7);
      dump.codec = Codec::none;
      dump.first_page = first;
      dump.end_page = end;
      const Indexed indexed(dump);
      std::uint64_t number = 0;
      auto next = dump.stored.begin();
      for (std::uint64_t page = 0; page < dump.page_count; ++page) {
        const bool stored = next != dump.stored.end() && *next == page;
        if (stored) ++next;
        if (end != 0 && (page < first || page >= end)) continue;
        const auto found = indexed.pages[0].descriptor_number(page);
        ASSERT_EQ(found, stored ? std::optional(number) : std::nullopt) << page;
        if (stored) ++number;
      }
    }
  }
}

/// A dump as the memory that is made of it.
struct Opened {
  explicit Opened(const Buffer& file) : indexed(file) {}
  Indexed indexed;
  std::shared_ptr<PageProblems> problems = std::make_shared<PageProblems>();
  kdump::PageMemory memory{
      std::make_shared<const kdump::Pages>(std::move(indexed.pages), problems)};
};

TEST(KdumpPages, ASequentialScanUnpacksEachPageOnce) {
  const Kdump dump = random_dump(3000, 0.9, 3);
  const Opened opened(Kdump(dump).file());
  const auto memory = guest::Memory::create(
      {guest::Region::from_source(PhysAddr(0), dump.page_count * kPageSize, opened.memory)},
      nullptr);
  ASSERT_TRUE(memory.has_value());
  std::uint64_t seen = 0;
  guest::for_each_chunk(*memory, PhysAddr(0), PhysAddr(~0ULL), 100, [&](PhysAddr, Bytes bytes) {
    seen += bytes.size();
    return true;
  });
  EXPECT_GE(seen, dump.stored.size() * kPageSize);
  EXPECT_EQ(opened.memory.unpacked(), dump.stored.size());
}

TEST(KdumpPages, ATableUnpacksEachPageOnce) {
  const Kdump dump = random_dump(3000, 0.9, 3);
  const Opened opened(Kdump(dump).file());
  // Its objects lie anywhere in a page, and are read one by one.
  Buffer object(8);
  for (std::uint64_t at = 0; at < kPageSize; at += 512) {
    for (const std::uint64_t page : dump.stored) {
      ASSERT_TRUE(opened.memory.read(PhysAddr(page * kPageSize + at), object).complete());
    }
  }
  EXPECT_EQ(opened.memory.unpacked(), dump.stored.size());
}

/// Descriptors as they are in real files, or no file should have them.
void change_descriptors(Buffer& file, std::size_t descriptors, std::size_t count) {
  std::mt19937 random(9);
  for (std::size_t i = 1; i + 1 < count; ++i) {
    const std::size_t at = descriptors + i * sizeof(kdump::PageDescriptor);
    const auto whole = [&](std::size_t where) { return file.begin() + static_cast<long>(where); };
    switch (random() % 40) {
      case 0:  // shares the place of the one before, as pages of zeros do
        std::copy_n(whole(at - 24), 24, whole(at));
        break;
      case 1:  // lies elsewhere
        std::swap_ranges(whole(at), whole(at + 24), whole(at + 24));
        break;
      case 2:  // could not be packed
        put(file, at, std::uint64_t{file.size()});
        put(file, at + 8, static_cast<std::uint32_t>(kPageSize));
        put(file, at + 12, 0U);
        append(file, pattern(kPageSize, static_cast<std::uint32_t>(i)));
        break;
      case 3:  // no packing
        put(file, at + 12, 0x1000U);
        break;
      case 4:  // not written
        put(file, at, std::uint64_t{0});
        put(file, at + 8, std::uint64_t{0});
        break;
      case 5:  // behind the end
        put(file, at, ~std::uint64_t{0} - 100);
        break;
      case 6:  // cut
        put(file, at + 8, 7U);
        break;
      default:
        break;
    }
  }
}

std::vector<std::string> texts_of(const PageProblems& problems) {
  std::vector<std::string> texts;
  for (const PageProblem& problem : problems.list()) texts.push_back(problem.text);
  return texts;
}

class KdumpRun : public testing::TestWithParam<Codec> {};

TEST_P(KdumpRun, IsWhatItsPagesAreOneByOne) {
  if (!can_unpack(GetParam())) GTEST_SKIP() << "built without it";
  Kdump dump = random_dump(5000, 0.97, 11);
  dump.codec = GetParam();
  Buffer file = dump.file();
  change_descriptors(file, dump.descriptors, dump.stored.size());
  const Opened fast(file), slow(file);
  std::mt19937 random(10);
  std::size_t problems = 0;
  for (int round = 0; round < 200; ++round) {
    const PhysAddr from(random() % (dump.page_count * kPageSize));
    Buffer got(random() % (400 * kPageSize)), want(got.size());
    std::size_t done = 0;
    while (done < got.size()) {  // of both, over pages that are not there
      const auto read = fast.memory.read_once(from + done, MutableBytes(got).subspan(done));
      ASSERT_EQ(slow.memory.read(from + done, MutableBytes(want).subspan(done)), read);
      ASSERT_TRUE(std::equal(got.begin() + static_cast<long>(done),
                             got.begin() + static_cast<long>(done + read.count),
                             want.begin() + static_cast<long>(done)));
      if (!read.complete()) ++problems;
      done += read.count;
      done += std::min<std::size_t>(kPageSize - (from + done).mask(kPageMask), got.size() - done);
    }
  }
  EXPECT_GT(problems, 100U);
  EXPECT_EQ(texts_of(*fast.problems), texts_of(*slow.problems));
}
INSTANTIATE_TEST_SUITE_P(Each, KdumpRun,
                         testing::Values(Codec::none, Codec::zlib, Codec::lzo, Codec::snappy,
                                         Codec::zstd),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(KdumpPages, ThreadsReadTheSame) {
  const Kdump dump = random_dump(2000, 0.7, 4);
  const Opened opened(Kdump(dump).file());
  const kdump::PageMemory& source = opened.memory;
  std::atomic<int> wrong = 0;
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t page = dump.stored[random() % dump.stored.size()];
      Buffer to(kPageSize);
      if (!source.read(PhysAddr(page * kPageSize), to).complete() || to != kdump_page(page))
        ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace engram::image
