// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include "base/interruption.h"

namespace engram::guest {
namespace {

/// Bytes that are made of their address; every 100th page cannot be made.
class Made final : public PhysicalSource {
 public:
  static std::byte byte_at(PhysAddr at) { return static_cast<std::byte>(at.value * 7 >> 8U); }
  static bool is_bad(PhysAddr at) { return at.value / kPageSize % 100 == 99; }

  [[nodiscard]] Transfer read(PhysAddr from, MutableBytes to) const override {
    for (std::size_t i = 0; i < to.size(); ++i) {
      if (is_bad(from + i)) return {i, MemoryErrc::source_truncated, 0, from.value + i};
      to[i] = byte_at(from + i);
    }
    read_ += to.size();
    return {to.size()};
  }
  [[nodiscard]] std::uint64_t read() const { return read_.load(); }

 private:
  mutable std::atomic<std::uint64_t> read_ = 0;
};

Memory memory_of(const Made& made) {
  Regions regions;
  for (std::uint64_t i = 0; i < 50; ++i) {  // some that touch, some with a hole between them
    const std::uint64_t size = i % 2 == 0 ? 256 * kKiB : 200 * kKiB;
    regions.push_back(Region::from_source(PhysAddr(i * 256 * kKiB), size, made));
  }
  return Memory::create(std::move(regions), nullptr).value();
}

TEST(Scan, HandsOutBytesThatAreMadeInOrder) {
  const Made made;
  const Memory memory = memory_of(made);
  constexpr std::size_t kOverlap = 100;
  constexpr PhysAddr kFirst{1000}, kLast{12 * kMiB};
  std::vector<bool> seen(13 * kMiB);
  PhysAddr end;
  for_each_chunk(
      memory, kFirst, kLast, kOverlap,
      [&](PhysAddr at, Bytes bytes) {
        EXPECT_TRUE(at >= end || at + kOverlap == end) << std::hex << at.value;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
          if (bytes[i] != Made::byte_at(at + i)) ADD_FAILURE() << std::hex << at.value + i;
          seen[static_cast<std::size_t>(at.value + i)] = true;
        }
        end = at + bytes.size();
        return true;
      },
      64 * kKiB);
  for (std::uint64_t at = 0; at < seen.size(); ++at) {
    const PhysAddr address(at);
    const bool there = address >= kFirst && address <= kLast && memory.find(address) != nullptr &&
                       !Made::is_bad(address);
    if (seen[static_cast<std::size_t>(at)] != there) {
      FAIL() << std::hex << at << " was " << (there ? "left out" : "made up");
    }
  }
}

/// Regions that are made and others that lie in `host`, which has the bytes of their addresses.
Memory mixed_memory(std::mt19937& random, const Made& made, Bytes host) {
  Regions regions;
  for (std::uint64_t at = 0; at < host.size();) {
    const std::uint64_t most = random() % 3 == 0 ? 100 : 300 * kKiB;
    const std::uint64_t size = std::min(1 + random() % most, host.size() - at);
    switch (random() % 5) {
      case 0:
      case 1:
        regions.push_back(Region::from_source(PhysAddr(at), size, made));
        break;
      case 2:
      case 3:
        regions.push_back({PhysAddr(at), size, Backing::host, host.data() + at});
        break;
      default:
        break;
    }
    at += size;
  }
  return Memory::create(std::move(regions), nullptr).value();
}

TEST(Scan, OverlapsChunksOfAnyRegions) {
  const Made made;
  std::vector<std::byte> host(2 * kMiB);
  for (std::size_t i = 0; i < host.size(); ++i) host[i] = Made::byte_at(PhysAddr(i));
  std::mt19937 random(5);
  for (int round = 0; round < 15; ++round) {
    const Memory memory = mixed_memory(random, made, host);
    const std::size_t chunk_size = 1 + random() % (round % 2 == 0 ? 1000 : 200 * kKiB);
    const std::size_t overlap = round % 3 == 0 ? 0 : random() % chunk_size;
    std::vector<bool> seen(host.size());
    PhysAddr end(~std::uint64_t{0});
    for_each_chunk(
        memory, PhysAddr(0), PhysAddr(~std::uint64_t{0}), overlap,
        [&](PhysAddr at, Bytes bytes) {
          EXPECT_LE(bytes.size(), chunk_size);
          const bool was_seen = seen[static_cast<std::size_t>(at.value)];
          if (was_seen) {
            EXPECT_EQ(at + overlap, end) << "in round " << round;
          }
          if (!was_seen && overlap > 0) {
            EXPECT_NE(at, end) << "in round " << round;
          }
          EXPECT_GT(bytes.size(), was_seen ? overlap : 0);
          EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(),
                                 host.begin() + static_cast<std::ptrdiff_t>(at.value)));
          end = at + bytes.size();
          for (std::size_t i = 0; i < bytes.size(); ++i) seen[at.value + i] = true;
          return true;
        },
        chunk_size);
    for (std::size_t at = 0; at < seen.size(); ++at) {
      const Region* const region = memory.find(PhysAddr(at));
      const bool there =
          region != nullptr && (region->backing == Backing::host || !Made::is_bad(PhysAddr(at)));
      if (seen[at] != there) FAIL() << at << " in round " << round;
    }
  }
}

TEST(Scan, MakesLittleForASearchThatEndsEarly) {
  const Made made;
  const Memory memory = memory_of(made);
  for_each_chunk(memory, PhysAddr(0), PhysAddr(~std::uint64_t{0}), 0,
                 [](PhysAddr, Bytes) { return false; });
  EXPECT_LE(made.read(), kMiB);
}

TEST(Scan, VisitsStoredPagesAndPassesHoles) {
  std::vector<std::byte> bytes(8 * kMiB);
  Memory memory =
      Memory::create({{PhysAddr(kPageSize + 8), 8 * kMiB - 8, Backing::host, bytes.data()},
                      {PhysAddr(kGiB), kGiB, Backing::zero},
                      {PhysAddr(4 * kGiB), 8 * kMiB, Backing::host, bytes.data()}},
                     nullptr)
          .value();
  const auto visited = [&memory](std::uint64_t most) {
    std::vector<std::uint64_t> pages;
    for_each_stored_page(
        memory, {}, [](PhysAddr) { return true; },
        [&](const StoredPage& page) {
          EXPECT_EQ(page.number, pages.size());
          pages.push_back(page.frame.value / kPageSize);
          return pages.size() < most;
        });
    return pages;
  };
  const auto all = visited(10'000);
  ASSERT_EQ(all.size(), 2047U + 2048U);  // the first region begins within a page
  EXPECT_EQ(all.front(), 2U);
  EXPECT_EQ(all[2047], 4 * kGiB / kPageSize);
  EXPECT_EQ(visited(3).size(), 3U);
  // The file has nothing in the first half of what is behind both regions.
  memory.set_hole_finder([&bytes](const std::byte* at) {
    const auto offset = static_cast<std::uint64_t>(at - bytes.data());
    return offset < 4 * kMiB ? 4 * kMiB - offset : 0;
  });
  const auto stored = visited(10'000);
  EXPECT_EQ(stored.size(), 2 * 1024U);
  EXPECT_EQ(stored.back(), all.back());
  std::uint64_t chunks = 0;
  for_each_chunk(memory, PhysAddr(0), PhysAddr(~std::uint64_t{0}), 0, [&](PhysAddr, Bytes chunk) {
    chunks += chunk.size();
    return true;
  });
  EXPECT_LE(chunks, 8 * kMiB + 2 * kPageSize);
  EXPECT_GE(chunks, 8 * kMiB - 2 * kPageSize);
  std::atomic<bool> enough = true;
  const Interruptible now(enough);
  EXPECT_THROW(visited(10'000), Interrupted);
}

TEST(Scan, VisitsStoredPagesThatMayBeWithinLimits) {
  const Made made;
  const Memory memory = memory_of(made);
  const auto is_seventh = [](PhysAddr frame) { return frame.value / kPageSize % 7 == 0; };
  const auto visited = [&](const PageLimits& limits) {
    std::vector<std::uint64_t> pages;
    for_each_stored_page(memory, limits, is_seventh, [&](const StoredPage& page) {
      pages.push_back(page.frame.value / kPageSize);
      return true;
    });
    return pages;
  };
  std::vector<std::uint64_t> expected;
  std::uint64_t number = 0, limit = 0;
  PageLimits some;
  for (std::uint64_t page = 0; page < 50 * 64; ++page) {
    if (memory.find(PhysAddr(page * kPageSize)) == nullptr) continue;
    if (page % 7 == 0) expected.push_back(page);
    if (++number == 1000) limit = expected.size();
  }
  EXPECT_EQ(visited({}), expected);
  some.pages = 1000;
  EXPECT_EQ(visited(some), std::vector(expected.begin(), expected.begin() + limit));
  EXPECT_EQ(visited({PhysAddr(expected[200] * kPageSize)}),
            std::vector(expected.begin(), expected.begin() + 201));
  EXPECT_EQ(visited({PhysAddr(expected[200] * kPageSize - 1)}),
            std::vector(expected.begin(), expected.begin() + 200));
}

TEST(Scan, FindsWordsInAnyRegions) {
  const Made made;
  std::vector<std::byte> host(4 * kMiB);
  for (std::size_t i = 0; i < host.size(); ++i) host[i] = Made::byte_at(PhysAddr(i));
  std::mt19937 random(6);
  for (int round = 0; round < 10; ++round) {
    const Memory memory = mixed_memory(random, made, host);
    const auto wanted = load_unaligned<std::uint32_t>(host.data() + random() % host.size() / 4 * 4);
    std::vector<PhysAddr> expected, found;
    for (std::uint64_t at = 0; at < host.size(); at += 4) {
      const Region* const region = memory.find(PhysAddr(at));
      // A word lies in one region, and a page that cannot be made has none.
      if (region == nullptr || region->last() < PhysAddr(at + 3)) continue;
      if (region->backing == Backing::source && Made::is_bad(PhysAddr(at))) continue;
      if (load_unaligned<std::uint32_t>(host.data() + at) == wanted) expected.emplace_back(at);
    }
    for_each_word(memory, wanted, [&](PhysAddr at) {
      found.push_back(at);
      return true;
    });
    ASSERT_GT(expected.size(), 0U);
    EXPECT_EQ(found, expected) << "in round " << round;
    std::size_t most = expected.size() / 2 + 1;
    for_each_word(memory, wanted, [&](PhysAddr) { return --most != 0; });
    EXPECT_EQ(most, 0U);
  }
}

}  // namespace
}  // namespace engram::guest
