// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The image of a machine as one more guest memory: as large as images get, equal to the memory that
// it was taken of, and cut while it is read.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "guest/live_memory.h"
#include "guest/scan.h"
#include "image/image.h"
#include "paging/address_space.h"
#include "paging/test_memory.h"
#include "test_containers.h"

namespace engram::test {
namespace {

using guest::Memory;
using guest::Region;
using guest::Regions;

/// Every other page; no two can be merged.
Regions scattered_runs(std::size_t count, const std::byte* host) {
  Regions regions;
  regions.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    regions.push_back({PhysAddr(2 * i * kPageSize), kPageSize, guest::Backing::host, host});
  }
  return regions;
}

constexpr std::size_t kRuns = 1'000'000;

// How long opening and looking up take is measured in bench/guest.
TEST(DT10, AMillionRuns) {
  static_assert(sizeof(Region) <= 24);
  const Buffer page = pattern_bytes(kPageSize);
  const auto runs = scattered_runs(kRuns, page.data());
  const Memory memory = Memory::create(runs, nullptr).value();
  ASSERT_EQ(memory.size(), kRuns);

  const auto has = [&memory](PhysAddr at) {
    const Region* const region = memory.find(at);
    return region != nullptr && region->range().contains(at);
  };
  std::mt19937_64 random(10);
  for (int i = 0; i < 100'000; ++i) {
    const PhysAddr at(2 * (random() % kRuns) * kPageSize + random() % kPageSize);
    ASSERT_TRUE(has(at));
    ASSERT_EQ(memory.find(at + kPageSize), nullptr);
  }
  for (const Region& run : runs) ASSERT_TRUE(has(run.start) && has(run.last()));
}

/// Page tables and the pages that they map, in 4 MiB from 0 on.
class TablesFixture {
 public:
  TablesFixture() : root_(bytes_.new_table()) {
    for (std::uint64_t i = 0; i < 64; ++i) {
      const PhysAddr frame(2 * kMiB + (i * 37 % 64) * kPageSize);
      bytes_.map(root_, 4, VirtAddr(0xffff'8880'0000'0000 + i * 3 * kPageSize), frame, kPageSize,
                 paging::testing::kP | paging::testing::kRw);
      bytes_.put(frame, i);
    }
    bytes_.map(root_, 4, VirtAddr(0xffff'9000'0000'0000), PhysAddr(2 * kMiB), 2 * kMiB,
               paging::testing::kP);
  }
  [[nodiscard]] PhysAddr root() const { return root_; }
  [[nodiscard]] Bytes content() { return {bytes_.at(PhysAddr(0)), bytes_.size()}; }

 private:
  paging::testing::TestMemory bytes_{4 * kMiB};
  PhysAddr root_;
};

/// What a consumer of page tables sees: every mapping, and the first word of each.
std::vector<std::string> walk_all(const Memory& memory, PhysAddr root) {
  const paging::AddressSpace space(memory, {Architecture::x86_64, 4}, root);
  std::vector<std::string> lines;
  space.for_each_mapping(VirtAddr(0), VirtAddr(~std::uint64_t{0}), [&](const auto& mapping) {
    const auto word = space.load<std::uint64_t>(mapping.start);
    lines.push_back(fmt::format("{:#x} {:#x} {:#x} {}", mapping.start.value, mapping.physical.value,
                                mapping.size, word ? std::to_string(*word) : "missing"));
    return true;
  });
  return lines;
}

TEST(DT11, TheSameWalkerOverMemoryAndItsDump) {
  TablesFixture tables;
  const Bytes content = tables.content();
  const auto ram = guest::anonymous_memory({range_of(0, 2 * kMiB), range_of(2 * kMiB, 2 * kMiB)});
  ASSERT_TRUE(ram.has_value());
  ASSERT_TRUE(ram->write_exact(PhysAddr(0), content).has_value());
  const auto live = guest::live_memory(*ram);
  ASSERT_TRUE(live.has_value()) << live.error().text;

  const TempFile dump({});
  const auto file = mapping::File::open(dump.path(), mapping::File::Access::read_write);
  ASSERT_TRUE(file.has_value());
  mapping::FdWriter writer(file->fd());
  ASSERT_TRUE(ram->write_all_to(PhysAddr(0), writer, content.size()).has_value());
  const auto image = image::Image::open(dump.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;

  // The same bytes once more, through a region without host memory.
  const auto streamed = guest::RegionCollection<guest::StreamRegion<>>::from(
      {guest::StreamRegion<>::make(range_of(0, content.size()), {*file, FileOffset()}).value()});
  const auto decoded = guest::live_memory(*streamed);
  ASSERT_TRUE(decoded.has_value());

  const auto expected = walk_all(*live, tables.root());
  EXPECT_GT(expected.size(), 60U);
  EXPECT_EQ(walk_all(image->memory(), tables.root()), expected);
  EXPECT_EQ(walk_all(*decoded, tables.root()), expected);

  // And the living memory lives.
  const std::uint64_t changed = 4711;
  ASSERT_TRUE(ram->write_object(PhysAddr(2 * kMiB), changed).has_value());
  EXPECT_EQ(live->load_word(PhysAddr(2 * kMiB)), changed);
}

TEST(DT13, AnImageThatIsCutWhileItIsScanned) {
  constexpr std::uint64_t kSize = 4 * kMiB;
  constexpr std::uint64_t kCut = 1 * kMiB;
  const Buffer content = pattern_bytes(kSize);
  const TempFile file(content);
  const auto image = image::Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  std::uint64_t seen = 0;
  PhysAddr end;
  guest::for_each_chunk(
      image->memory(), PhysAddr(0), PhysAddr(kSize - 1), 0,
      [&](PhysAddr start, Bytes chunk) {
        EXPECT_TRUE(std::equal(chunk.begin(), chunk.end(),
                               content.begin() + static_cast<std::ptrdiff_t>(start.value)));
        EXPECT_TRUE(seen != 0 || file.cut(kCut));
        seen += chunk.size();
        end = start + chunk.size();
        return true;
      },
      64 * kKiB);
  EXPECT_EQ(seen, kCut);  // the gap was passed over, not shown as zeros
  EXPECT_EQ(end, PhysAddr(kCut));
  Buffer page(2 * kPageSize);
  const guest::Transfer moved = image->memory().read(PhysAddr(kCut - kPageSize), page);
  EXPECT_EQ(moved, (guest::Transfer{kPageSize, MemoryErrc::source_truncated, 0, kCut}));
}

/// A source that makes pages of their address, and lacks some.
class Decoder : public guest::PhysicalSource {
 public:
  [[nodiscard]] guest::Transfer read(PhysAddr from, MutableBytes to) const override {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const PhysAddr at = from + i;
      if (at >= PhysAddr(0x3000) && at < PhysAddr(0x4000)) {
        return {i, MemoryErrc::not_present, 0, at.value};
      }
      to[i] = static_cast<std::byte>(at.value / kPageSize);
    }
    return {to.size()};
  }
};

TEST(DecodedDump, IsReadLikeAnyOther) {
  const auto source = std::make_shared<Decoder>();
  const Buffer page = pattern_bytes(kPageSize);
  const auto memory =
      Memory::create({{PhysAddr(0x1000), kPageSize, guest::Backing::host, page.data()},
                      Region::from_source(PhysAddr(0x2000), 0x2000, *source),
                      Region::from_source(PhysAddr(0x4000), 0x1000, *source)},
                     source);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->size(), 2U);  // one source that goes on is one region
  EXPECT_EQ(memory->read_object<std::uint16_t>(PhysAddr(0x1fff)),
            static_cast<std::uint16_t>(0x0200 | static_cast<unsigned>(page.back())));
  EXPECT_EQ(memory->load_word(PhysAddr(0x4ff8)), 0x0404040404040404U);
  EXPECT_EQ(memory->load_word(PhysAddr(0x3000)), std::nullopt);
  Buffer got(0x2000);
  const guest::Transfer moved = memory->read(PhysAddr(0x2800), got);
  EXPECT_EQ(moved, (guest::Transfer{0x800, MemoryErrc::not_present, 0, 0x3000}));
  EXPECT_TRUE(guest::is_absent(moved.stop));
  EXPECT_EQ(memory->slice(PhysAddr(0x2000), 8).error().code, MemoryErrc::host_address_unavailable);
  std::vector<std::pair<std::uint64_t, std::size_t>> chunks;
  guest::for_each_chunk(*memory, PhysAddr(0), PhysAddr(~0ULL), 0, [&](PhysAddr at, Bytes bytes) {
    // Where the kind of memory changes, a chunk may end.
    if (!chunks.empty() && chunks.back().first + chunks.back().second == at.value) {
      chunks.back().second += bytes.size();
    } else {
      chunks.emplace_back(at.value, bytes.size());
    }
    return true;
  });
  EXPECT_EQ(chunks, (std::vector<std::pair<std::uint64_t, std::size_t>>{{0x1000, 0x2000},
                                                                        {0x4000, 0x1000}}));
}

}  // namespace
}  // namespace engram::test
