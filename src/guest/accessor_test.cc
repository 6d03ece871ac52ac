// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/accessor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "base/test_file.h"
#include "guest/ram.h"

namespace engram::guest {
namespace {

Range range_of(std::uint64_t first, std::uint64_t size) {
  return Range::make(PhysAddr(first), size).value();
}

/// Regions of several kinds: a page with dirty marks, one that touches it, a file that is shorter
/// than its region, one that is only read by system calls.
RegionCollection<MappedRegion<BitmapSlice>> mixed_memory() {
  using R = MappedRegion<BitmapSlice>;
  const test::TempFile temp(std::vector<std::byte>(kPageSize + 100));
  const auto file = mapping::File::open(temp.path(), mapping::File::Access::read_write).value();
  return RegionCollection<R>::from(
             {R::anonymous(range_of(0x1000, 0x1000)).value(),
              R::anonymous(range_of(0x2000, 0x800)).value(),
              R::from_file(range_of(0x4000, 0x2000), {file, FileOffset()}).value(),
              R::anonymous(range_of(0x8000, 0x1000), {.faults = FaultPolicy::syscall}).value()})
      .value();
}

TEST(Accessor, DoesWhatTheMemoryDoes) {
  const auto memory = mixed_memory();
  Accessor accessor(memory);
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const PhysAddr at(0xf00 + random() % 0x8400);
    const std::size_t size = random() % 3 == 0 ? std::size_t{1} << random() % 4 : random() % 700;
    std::vector<std::byte> bytes(size), want(size);
    if (round % 2 == 0) {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
      const Transfer written = accessor.write(at, bytes);
      want = bytes;
      ASSERT_EQ(memory.read(at, bytes), written) << at.value << '+' << size;
      ASSERT_EQ(bytes, want);
    } else {
      const Transfer expected = memory.read(at, want);
      ASSERT_EQ(accessor.read(at, bytes), expected) << at.value << '+' << size;
      ASSERT_EQ(bytes, want);
    }
    const auto word = accessor.read_object<std::uint32_t>(at);
    ASSERT_EQ(word, memory.read_object<std::uint32_t>(at));
    const auto loaded = accessor.load<std::uint32_t>(at);
    ASSERT_EQ(loaded, memory.load<std::uint32_t>(at));
    if (word) {
      ASSERT_TRUE(accessor.write_object(at, ~*word).has_value());
      ASSERT_EQ(memory.read_object<std::uint32_t>(at), ~*word);
    }
    ASSERT_EQ(accessor.store(at, std::uint32_t{7}).has_value(), loaded.has_value());
  }
}

TEST(Accessor, MarksWhatItWrites) {
  const auto memory = mixed_memory();
  Accessor accessor(memory);
  const auto dirty = [&](std::uint64_t at) {
    const auto* const region = memory.find(PhysAddr(at));
    return region->dirty().dirty_at(PhysAddr(at) - region->range().first());
  };
  ASSERT_TRUE(accessor.read_object<std::uint64_t>(PhysAddr(0x4010)).has_value());
  EXPECT_FALSE(dirty(0x4010));
  ASSERT_TRUE(accessor.write_object(PhysAddr(0x4010), std::uint64_t{1}).has_value());
  EXPECT_TRUE(dirty(0x4010));
  EXPECT_FALSE(dirty(0x5000));
  ASSERT_TRUE(accessor.write_exact(PhysAddr(0x5000), std::vector<std::byte>(100)).has_value());
  EXPECT_TRUE(dirty(0x5000));
  ASSERT_TRUE(accessor.store(PhysAddr(0x2000), std::uint8_t{1}).has_value());
  EXPECT_TRUE(dirty(0x2000));
  EXPECT_FALSE(dirty(0x1000));
}

TEST(CachedRange, FollowsTheMap) {
  const auto ram = anonymous_memory({range_of(0, 0x1000)}).value();
  const MemoryAtomic<MappedMemory<>> current(ram);
  CachedRange<MappedMemory<>> ring(current, PhysAddr(0x100), 64);
  ASSERT_TRUE(ring.slice()->write_object(8, std::uint32_t{5}).has_value());
  EXPECT_EQ(ram.read_object<std::uint32_t>(PhysAddr(0x108)), 5U);
  ring.quiesce();
  current.lock().replace(anonymous_memory({range_of(0x1000, 0x1000)}).value());
  EXPECT_EQ(current.retired_maps(), 0U);
  EXPECT_FALSE(ring.slice().has_value());
  current.lock().replace(ram);
  EXPECT_EQ(ring.slice()->read_object<std::uint32_t>(8), 5U);
}

}  // namespace
}  // namespace engram::guest
