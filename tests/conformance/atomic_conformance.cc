// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// A memory that is replaced while it is used.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <vector>

#include "guest/memory_atomic.h"
#include "guest/ram.h"
#include "mapping/areas.h"

namespace engram {
namespace {

using guest::MappedRegion;
using guest::MemoryAtomic;
using guest::MemoryErrc;
using guest::Range;
using Ram = guest::MappedMemory<>;

MappedRegion<> region(std::uint64_t start, std::uint64_t size) {
  return MappedRegion<>::anonymous(Range::make(PhysAddr(start), size).value()).value();
}

Ram two_regions() {
  return Ram::from({region(0, 0x400), region(0x1000, 0x400)}).value();
}

void expect_two_regions(const Ram& ram) {
  EXPECT_EQ(ram.size(), 2U);
  EXPECT_NE(ram.find(PhysAddr(0x1000)), nullptr);
  EXPECT_EQ(ram.find(PhysAddr(0x10000)), nullptr);
}

TEST(VT80, EverySnapshotShowsTheSameMap) {
  std::optional<MemoryAtomic<Ram>> provider(two_regions());
  auto guard = provider->snapshot();
  expect_two_regions(*guard);
  const MemoryAtomic<Ram>::Snapshot owning = guard;
  expect_two_regions(*owning);
  const auto second = provider->snapshot();
  expect_two_regions(*second);
  const MemoryAtomic<Ram> clone = *provider;
  expect_two_regions(*clone.snapshot());
  const auto copy_of_guard = guard;
  guard.reset();
  expect_two_regions(*copy_of_guard);
  provider.reset();
  expect_two_regions(*clone.snapshot());
}

TEST(VT81, HotPlugPublishesANewMap) {
  const MemoryAtomic<Ram> provider(two_regions());
  const auto before = provider.snapshot();
  auto update = provider.lock();
  Ram next = *update;
  for (const std::uint64_t start : {0x8000U, 0x4000U, 0xc000U}) {
    const auto added = next.insert(region(start, 0x1000));
    ASSERT_TRUE(added);
    next = *added;
  }
  const auto duplicate = next.insert(region(0xc000, 0x1000));
  ASSERT_FALSE(duplicate);
  EXPECT_EQ(duplicate.error().code, MemoryErrc::overlap);
  EXPECT_EQ(provider.snapshot()->size(), 2U) << "nothing is published yet";
  std::move(update).replace(next);
  EXPECT_EQ(before->size(), 2U);
  EXPECT_EQ(provider.snapshot()->size(), 5U);
}

/// Whether the host has something mapped at this address.
bool is_mapped(const void* address) {
  const auto areas = mapping::Areas::of_self().value();
  const auto found = areas.query(mapping::HostAddr(reinterpret_cast<std::uintptr_t>(address)));
  return found.value().has_value();
}

TEST(ST12, MemoryIsReleasedWhenTheLastReaderQuiesces) {
  constexpr std::uint64_t kSize = 64 * kMiB;  // a mapping of its own, not a part of a heap
  constexpr std::uint64_t kStart = 0x10000000;
  MemoryAtomic<Ram> provider(two_regions());
  const void* host = nullptr;
  {
    auto update = provider.lock();
    const auto plugged = region(kStart, kSize);
    host = static_cast<const std::byte*>(plugged.native_range().address) + kSize / 2;
    std::move(update).replace(provider.snapshot()->insert(plugged).value());
  }
  MemoryAtomic<Ram>::Reader reader(provider), other(provider);
  ASSERT_TRUE(reader->write_object(PhysAddr(kStart), std::uint64_t{42}));
  ASSERT_EQ(other->read_object<std::uint64_t>(PhysAddr(kStart)), 42U);
  {
    auto update = provider.lock();
    Ram without = update->remove(PhysAddr(kStart), kSize).value().collection;
    std::move(update).replace(std::move(without));
  }
  EXPECT_TRUE(is_mapped(host)) << "two readers have it";
  EXPECT_FALSE(provider.wait_for_readers(std::chrono::milliseconds(1)));
  EXPECT_EQ(reader->find(PhysAddr(kStart)), nullptr) << "an access moves on to the new map";
  EXPECT_TRUE(is_mapped(host)) << "one reader has it";
  EXPECT_EQ(provider.retired_maps(), 1U);
  other.quiesce();
  EXPECT_FALSE(is_mapped(host));
  EXPECT_TRUE(provider.wait_for_readers(std::chrono::nanoseconds(0)));
}

}  // namespace
}  // namespace engram
