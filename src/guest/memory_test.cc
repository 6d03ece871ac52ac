// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "guest/scan.h"

namespace engram::guest {
namespace {

using testing::HasSubstr;

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

Region host_region(std::uint64_t start, Bytes bytes) {
  return {PhysAddr(start), bytes.size(), Backing::host, bytes.data()};
}

TEST(Memory, EmptyHasNothing) {
  const Memory memory;
  std::byte byte{};
  EXPECT_EQ(memory.find(PhysAddr(0)), nullptr);
  EXPECT_EQ(memory.read(PhysAddr(0), {&byte, 1}).stop, MemoryErrc::invalid_guest_address);
  EXPECT_TRUE(memory.read(PhysAddr(0), {}).complete());
  EXPECT_EQ(memory.load_word(PhysAddr(0)), std::nullopt);
  EXPECT_EQ(memory.end(), PhysAddr(0));
}

TEST(Memory, RefusesWhatIsNotARegion) {
  const auto bytes = random_bytes(64, 1);
  const auto error = [](Regions regions) {
    return Memory::create(std::move(regions), nullptr).error().text;
  };
  EXPECT_THAT(error({{PhysAddr(0x1000), 0, Backing::zero, nullptr}}),
              HasSubstr("region at 0x1000 is empty"));
  EXPECT_THAT(error({{PhysAddr(~0ULL), 2, Backing::zero, nullptr}}), HasSubstr("exceeds 2^64"));
  EXPECT_THAT(error({host_region(0x1020, bytes), host_region(0x1000, bytes)}),
              HasSubstr("[0x1000, 0x103f] overlaps region [0x1020, 0x105f]"));
}

TEST(Memory, ReachesTheEndOfTheAddressSpace) {
  const auto bytes = random_bytes(16, 2);
  const auto memory = Memory::create({host_region(0 - std::uint64_t{16}, bytes)}, nullptr);
  ASSERT_TRUE(memory.has_value()) << memory.error().text;
  EXPECT_EQ(memory->read_object<std::byte>(PhysAddr(~0ULL)), bytes[15]);
  EXPECT_EQ(memory->load_word(PhysAddr(~7ULL)), load<std::uint64_t>(bytes, 8));
  EXPECT_EQ(memory->load_word(PhysAddr(~6ULL)), std::nullopt);
  std::vector<std::byte> to(32);
  const Transfer outcome = memory->read(PhysAddr(~7ULL), to);
  EXPECT_EQ(outcome.count, 8U);
  EXPECT_EQ(outcome.stop, MemoryErrc::range_overflow);
}

TEST(Memory, MergesWhatContinues) {
  const auto bytes = random_bytes(48, 3);
  const Bytes all(bytes);
  const auto memory =
      Memory::create({host_region(0x10, all.subspan(16, 16)),
                      host_region(0, all.first(16)),
                      host_region(0x20, all.first(16)),  // continues in address only
                      {PhysAddr(0x30), 16, Backing::zero, nullptr},
                      {PhysAddr(0x40), 16, Backing::zero, nullptr},
                      {PhysAddr(0x50), 16, Backing::unreadable, nullptr}},
                     nullptr);
  ASSERT_TRUE(memory.has_value());
  ASSERT_EQ(memory->regions().size(), 4U);
  EXPECT_EQ(memory->regions()[0].size, 32U);
  EXPECT_EQ(memory->regions()[2].size, 32U);
  EXPECT_EQ(memory->present_bytes(), 80U);
  EXPECT_EQ(memory->end(), PhysAddr(0x60));
}

TEST(Memory, OwnerLivesAsLongAsItsMemory) {
  auto owner = std::make_shared<std::vector<std::byte>>(random_bytes(16, 4));
  const std::weak_ptr<void> watch = owner;
  {
    const Region region = host_region(0, *owner);
    const auto memory = Memory::create({region}, std::move(owner));
    EXPECT_FALSE(watch.expired());
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): the copy is what is tested
    const Memory copy = *memory;
    EXPECT_TRUE(copy.load_word(PhysAddr(0)).has_value());
  }
  EXPECT_TRUE(watch.expired());
}

/// The slow and obvious twin: one entry a byte.
class Twin {
 public:
  explicit Twin(std::size_t size) : kind_(size, Kind::absent), value_(size) {}

  void add(const Region& region) {
    for (std::uint64_t i = 0; i < region.size; ++i) {
      const std::size_t at = region.start.value + i;
      kind_[at] = region.backing == Backing::unreadable ? Kind::unreadable : Kind::there;
      value_[at] = region.backing == Backing::host ? region.host()[i] : std::byte{0};
    }
  }
  Transfer read(std::size_t from, MutableBytes to) const {
    for (std::size_t i = 0; i < to.size(); ++i) {
      if (from + i >= kind_.size() || kind_[from + i] == Kind::absent)
        return {i, MemoryErrc::invalid_guest_address, 0, from + i};
      if (kind_[from + i] == Kind::unreadable)
        return {i, MemoryErrc::source_truncated, 0, from + i};
      to[i] = value_[from + i];
    }
    return {to.size()};
  }

 private:
  enum class Kind { absent, there, unreadable };
  std::vector<Kind> kind_;
  std::vector<std::byte> value_;
};

constexpr std::size_t kSpace = 3000;

Regions random_regions(std::mt19937_64& random, const std::vector<std::byte>& bytes) {
  Regions regions;
  const std::size_t largest = 1 + random() % 200;
  for (std::size_t at = random() % 20; at < kSpace;) {
    const std::size_t size = std::min<std::size_t>(1 + random() % largest, kSpace - at);
    const auto backing = static_cast<Backing>(random() % 4 == 0 ? random() % 3 : 0);
    // Half of the regions continue their neighbour in host memory.
    const std::size_t offset = random() % 2 == 0 ? at : random() % kSpace;
    regions.push_back(
        {PhysAddr(at), size, backing, backing == Backing::host ? bytes.data() + offset : nullptr});
    at += size + (random() % 3 == 0 ? random() % 100 : 0);
  }
  std::shuffle(regions.begin(), regions.end(), random);
  return regions;
}

TEST(Memory, AgreesWithItsSlowTwin) {
  const auto bytes = random_bytes(2 * kSpace, 5);
  std::mt19937_64 random(6);
  for (int round = 0; round < 300; ++round) {
    const auto regions = random_regions(random, bytes);
    Twin twin(kSpace + 100);
    for (const Region& region : regions) twin.add(region);
    const auto memory = Memory::create(regions, nullptr);
    ASSERT_TRUE(memory.has_value()) << memory.error().text;
    for (int i = 0; i < 200; ++i) {
      const std::size_t from = random() % (kSpace + 50);
      std::vector<std::byte> got(random() % 300);
      std::vector<std::byte> want(got.size());
      const Transfer outcome = memory->read(PhysAddr(from), got);
      const Transfer expected = twin.read(from, want);
      ASSERT_EQ(outcome, expected);
      ASSERT_EQ(got, want);

      std::uint64_t word = 0;
      const bool whole = twin.read(from, std::as_writable_bytes(std::span(&word, 1))).complete();
      ASSERT_EQ(memory->load_word(PhysAddr(from)), whole ? std::optional(word) : std::nullopt);
    }
  }
}

/// What for_each_chunk promises, checked byte by byte while it runs.
class ChunkChecker {
 public:
  ChunkChecker(const Memory& memory, std::size_t overlap) : memory_(memory), overlap_(overlap) {}

  bool visit(PhysAddr start, Bytes chunk) {
    std::vector<std::byte> want(chunk.size());
    EXPECT_TRUE(memory_.read(start, want).complete());
    EXPECT_TRUE(std::equal(chunk.begin(), chunk.end(), want.begin()));
    // New bytes begin where the last chunk ended, overlap bytes after the start, or after a gap.
    std::size_t old = 0;
    if (!seen_.empty() && start < PhysAddr(seen_.back() + 1)) {
      old = overlap_;
      EXPECT_EQ(start.value + overlap_, seen_.back() + 1);
    } else if (overlap_ > 0 && !seen_.empty()) {
      EXPECT_GT(start.value, seen_.back() + 1) << "contiguous chunks without overlap";
    }
    EXPECT_GT(chunk.size(), old);
    for (std::size_t i = old; i < chunk.size(); ++i) seen_.push_back(start.value + i);
    return true;
  }
  [[nodiscard]] const std::vector<std::uint64_t>& seen() const { return seen_; }

 private:
  const Memory& memory_;
  const std::size_t overlap_;
  std::vector<std::uint64_t> seen_;
};

TEST(ForEachChunk, ShowsEveryStoredByteOnceAndOverlapsTwice) {
  const auto bytes = random_bytes(2 * kSpace, 7);
  std::mt19937_64 random(8);
  for (int round = 0; round < 500; ++round) {
    const auto memory = Memory::create(random_regions(random, bytes), nullptr);
    const std::size_t chunk_size = 1 + random() % 400;
    const std::size_t overlap = random() % chunk_size;
    std::uint64_t first = random() % kSpace;
    std::uint64_t last = random() % (kSpace + 100);
    if (round % 2 == 0) first = 0, last = ~0ULL;
    ChunkChecker checker(*memory, overlap);
    for_each_chunk(
        *memory, PhysAddr(first), PhysAddr(last), overlap,
        [&](PhysAddr start, Bytes chunk) {
          EXPECT_LE(chunk.size(), chunk_size);
          return checker.visit(start, chunk);
        },
        chunk_size);
    std::vector<std::uint64_t> want;
    for (std::uint64_t at = first; at < kSpace && at <= last; ++at) {
      const Region* const region = memory->find(PhysAddr(at));
      if (region != nullptr && region->backing == Backing::host) want.push_back(at);
    }
    ASSERT_EQ(checker.seen(), want);
  }
}

TEST(ForEachChunk, StopsWhenToldTo) {
  const auto bytes = random_bytes(1000, 9);
  const auto memory = Memory::create({host_region(0, bytes)}, nullptr);
  int visits = 0;
  const auto visit = [&](PhysAddr, Bytes) { return ++visits < 3; };
  for_each_chunk(*memory, PhysAddr(0), PhysAddr(~0ULL), 4, visit, 100);
  EXPECT_EQ(visits, 3);
}

TEST(ForEachChunk, PassesOverAHugeZeroRange) {
  const auto bytes = random_bytes(100, 10);
  const std::uint64_t high = 1ULL << 63;
  const auto memory = Memory::create(
      {{PhysAddr(0), high, Backing::zero, nullptr}, host_region(high, bytes)}, nullptr);
  std::vector<std::uint64_t> starts;
  for_each_chunk(*memory, PhysAddr(0), PhysAddr(~0ULL), 8, [&](PhysAddr start, Bytes chunk) {
    starts.push_back(start.value);
    return chunk.size() == 100;
  });
  EXPECT_EQ(starts, std::vector{high});
}

}  // namespace
}  // namespace engram::guest
