// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/iommu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "guest/mapped_region.h"
#include "guest/region_collection.h"
#include "mapping/atomic_bitmap.h"
#include "mapping/shared_memory.h"

namespace engram::guest {
namespace {

using mapping::AtomicBitmap;
using mapping::SharedBitmapSlice;
using testing::ElementsAre;

using RamRegion = MappedRegion<SharedBitmapSlice>;
using Backend = RegionCollection<RamRegion>;
using Ram = IommuMemory<Backend, SharedIotlb, SharedBitmapSlice>;
static_assert(WritableRegion<Ram::RegionType>);
static_assert(ReadableRegion<IommuRegion<ReadOnlyMappedRegion, NoTracker>> &&
              !WritableRegion<IommuRegion<ReadOnlyMappedRegion, NoTracker>>);

constexpr auto kR = Permissions::read;
constexpr auto kRw = Permissions::read_write;
constexpr PhysAddr kIova(0x100000);

template <class T>
T must(MemoryResult<T> result) {
  if (!result) throw std::runtime_error(mapping::to_string(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class T>
MemoryErrc code(const MemoryResult<T>& result) {
  return result ? MemoryErrc::none : result.error().code;
}

/// 16 KiB at 0 and 16 KiB at 0x10000; the device sees the end of the first and the beginning of the
/// second as 8 KiB from kIova on.
struct IommuTest : testing::Test {
  IommuTest() {
    must(tlb->map(kIova, PhysAddr(0x3000), 0x1000, kRw));
    must(tlb->map(kIova + 0x1000, PhysAddr(0x10000), 0x1000, kRw));
  }
  static Backend new_backend() {
    std::vector<RamRegion> regions;
    for (const std::uint64_t start : {0x0U, 0x10000U}) {
      regions.push_back(must(RamRegion::anonymous(must(Range::make(PhysAddr(start), 0x4000)))));
    }
    return must(Backend::from(std::move(regions)));
  }
  [[nodiscard]] bool region_dirty(std::uint64_t physical) const {
    const RamRegion* const region = backend.find(PhysAddr(physical));
    return region->dirty().dirty_at(region->range().offset_of(PhysAddr(physical))->value);
  }

  Backend backend = new_backend();
  std::shared_ptr<SharedIotlb> tlb = std::make_shared<SharedIotlb>();
  std::shared_ptr<AtomicBitmap> iovas = std::make_shared<AtomicBitmap>(kIova.value + 0x4000);
  Ram ram{backend, tlb, true, SharedBitmapSlice(iovas)};
};

TEST_F(IommuTest, AnObjectAcrossTwoTranslationsIsOne) {
  ASSERT_TRUE(ram.write_object<std::uint64_t>(kIova + 0xffc, 0x1122334455667788));
  EXPECT_EQ(ram.read_object<std::uint64_t>(kIova + 0xffc), 0x1122334455667788U);
  EXPECT_EQ(backend.read_object<std::uint32_t>(PhysAddr(0x3ffc)), 0x55667788U);
  EXPECT_EQ(backend.read_object<std::uint32_t>(PhysAddr(0x10000)), 0x11223344U);
}

TEST_F(IommuTest, EmptyOperationsNeedNoTranslation) {
  EXPECT_EQ(ram.read(PhysAddr(0), {}), Transfer{});
  EXPECT_EQ(ram.write(PhysAddr(~0ULL), {}), Transfer{});
  int items = 0;
  for (const auto& item : ram.slices(PhysAddr(5), 0)) items += item.has_value() ? 1 : 100;
  EXPECT_EQ(items, 0);
}

TEST_F(IommuTest, WhatDoesNotTranslateWholeIsNotTouched) {
  const std::array<std::byte, 16> ones = {std::byte{1}};
  const Transfer moved = ram.write(kIova + 0x1ff8, ones);
  EXPECT_EQ(moved.count, 0U);
  EXPECT_EQ(moved.stop, MemoryErrc::iommu_cannot_resolve);
  EXPECT_EQ(backend.read_object<std::uint64_t>(PhysAddr(0x10ff8)), 0U);
  const auto slice = ram.slice(kIova + 0x1ff8, 16);
  ASSERT_FALSE(slice);
  EXPECT_EQ(slice.error().address, kIova.value + 0x2000);
  EXPECT_EQ(slice.error().expected, 8U);
  EXPECT_EQ(code(ram.slice(PhysAddr(~0ULL), 2)), MemoryErrc::range_overflow);
}

TEST_F(IommuTest, TheFirstObstacleIsTheError) {
  must(tlb->map(kIova + 0x2000, PhysAddr(0), 0x1000, kR));
  const auto refused = ram.mutable_slice(kIova + 0x2ff0, 0x20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, MemoryErrc::access_refused);
  EXPECT_EQ(refused.error().address, kIova.value + 0x2ff0);
  EXPECT_EQ(refused.error().expected, 0x10U);
  const auto missing = ram.mutable_slice(kIova - 8, 0x4000);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, MemoryErrc::iommu_cannot_resolve);
  EXPECT_EQ(missing.error().address, kIova.value - 8);
  EXPECT_EQ(missing.error().expected, 8U);
}

TEST_F(IommuTest, ATranslationToNoMemoryIsAnErrorAtItsIova) {
  must(tlb->map(kIova + 0x2000, PhysAddr(0x13ff0), 0x1000, kRw));
  std::array<std::byte, 0x20> bytes;
  const Transfer moved = ram.read(kIova + 0x2000, bytes);
  EXPECT_EQ(moved.count, 0x10U);
  EXPECT_EQ(moved.stop, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(moved.address, kIova.value + 0x2010);
  std::vector<std::uint64_t> sizes;
  for (const auto& item : ram.slices(kIova + 0x2000, 0x20)) {
    sizes.push_back(item ? item->size() : item.error().address);
  }
  EXPECT_THAT(sizes, ElementsAre(0x10, kIova.value + 0x2010));
}

TEST_F(IommuTest, EveryWritingOperationMarksIovasOnly) {
  const auto only = [&](std::uint64_t page) {
    bool right = true;
    for (std::uint64_t at = 0; at < 0x4000; at += 0x1000) {
      right = right && iovas->dirty_at(kIova.value + at) == (at == page);
      right = right && !region_dirty(at) && !region_dirty(0x10000 + at);
    }
    iovas->reset();
    return right;
  };
  const std::array<std::byte, 4> bytes = {};
  EXPECT_EQ(ram.write(kIova, bytes).count, 4U);
  EXPECT_TRUE(only(0));
  ASSERT_TRUE((ram.store<std::uint32_t>(kIova + 0x1000, 7)));
  EXPECT_TRUE(only(0x1000));
  EXPECT_EQ(ram.fill(kIova + 0x1008, 8, std::byte{1}).count, 8U);
  EXPECT_TRUE(only(0x1000));
  const auto view = must(ram.mutable_slice(kIova, 16));
  EXPECT_TRUE(only(~0ULL)) << "to get a view is not to write";
  ASSERT_TRUE(view.write_object<std::uint16_t>(2, 3));
  EXPECT_TRUE(only(0));
}

TEST_F(IommuTest, OffPassesThrough) {
  ram.set_iommu_enabled(false);
  EXPECT_EQ(ram.physical_memory(), &ram.backend());
  ASSERT_TRUE(ram.write_object<std::uint32_t>(PhysAddr(0x2000), 5));
  EXPECT_TRUE(region_dirty(0x2000));
  EXPECT_FALSE(iovas->dirty_at(0x2000));
  EXPECT_EQ(backend.read_object<std::uint32_t>(PhysAddr(0x2000)), 5U);
  EXPECT_EQ(code(ram.slice(kIova, 1)), MemoryErrc::invalid_guest_address);
}

TEST_F(IommuTest, ATranslationKeepsWritersOut) {
  std::atomic<bool> invalidated = false;
  std::thread writer;
  {
    auto held = tlb->translate(must(Range::make(kIova, 8)), kR);
    ASSERT_TRUE(held);
    writer = std::thread([&] {
      must(tlb->invalidate(kIova, 0x1000));
      invalidated = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(invalidated);
    EXPECT_TRUE(held->next());
  }
  writer.join();
  EXPECT_EQ(code(ram.slice(kIova, 8)), MemoryErrc::iommu_cannot_resolve);
}

TEST_F(IommuTest, ARefillThatDoesNotHelpIsNotRepeatedForEver) {
  int calls = 0;
  const auto found = tlb->translate(must(Range::make(PhysAddr(0), 1)), kR,
                                    [&](const Iotlb::Obstacles&) -> MemoryResult<void> {
                                      ++calls;
                                      return {};
                                    });
  EXPECT_EQ(code(found), MemoryErrc::iommu_cannot_resolve);
  EXPECT_EQ(calls, SharedIotlb::kMaxRefills);
}

TEST_F(IommuTest, ARefillSaysWhyItCannot) {
  const auto found = tlb->translate(must(Range::make(PhysAddr(0), 1)), kR,
                                    [](const Iotlb::Obstacles&) -> MemoryResult<void> {
                                      return fail_memory(MemoryErrc::iommu_misconfigured);
                                    });
  EXPECT_EQ(code(found), MemoryErrc::iommu_misconfigured);
}

TEST_F(IommuTest, ThreadsTranslateWhileOthersInvalidate) {
  std::atomic<bool> stop = false;
  std::thread changer([&] {
    while (!stop) {
      must(tlb->invalidate(kIova, 0x1000));
      must(tlb->map(kIova, PhysAddr(0x3000), 0x1000, kRw));
    }
  });
  ASSERT_TRUE(backend.write_object<std::uint64_t>(PhysAddr(0x3000), 42));
  int hits = 0;
  for (int i = 0; i < 20000 || hits == 0; ++i) {
    const auto value = ram.read_object<std::uint64_t>(kIova);
    if (value) {
      ASSERT_EQ(*value, 42U);
      ++hits;
    } else {
      ASSERT_EQ(value.error().code, MemoryErrc::iommu_cannot_resolve);
    }
  }
  stop = true;
  changer.join();
}

/// Threads that take turns keep the table in use without a gap.
TEST_F(IommuTest, ACrowdThatTranslatesDoesNotKeepOneFromInvalidating) {
  using namespace std::chrono_literals;
  const Range range = must(Range::make(kIova, 0x1000));
  std::atomic<bool> stop = false;
  std::vector<std::thread> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.emplace_back([&] {
      while (!stop) {
        const auto found = tlb->translate(range, kR);
        std::this_thread::sleep_for(2ms);
      }
    });
  }
  std::this_thread::sleep_for(20ms);
  auto changed = std::async(std::launch::async, [&] { must(tlb->invalidate(kIova, 0x1000)); });
  EXPECT_EQ(changed.wait_for(10s), std::future_status::ready);
  stop = true;
  for (std::thread& one : crowd) one.join();
}

/// A file that ends in the middle of its region.
TEST_F(IommuTest, ACutFileIsAShortCountAtItsIova) {
  const auto file = must(mapping::SharedMemory::create("cut", 0x1800));
  using FileRam = IommuMemory<RegionCollection<RamRegion>, SharedIotlb, SharedBitmapSlice>;
  std::vector<RamRegion> regions;
  regions.push_back(must(
      RamRegion::from_file(must(Range::make(PhysAddr(0), 0x4000)), {file.file(), FileOffset()})));
  const FileRam cut(must(Backend::from(std::move(regions))), tlb, true, SharedBitmapSlice(iovas));
  must(tlb->map(kIova, PhysAddr(0), 0x4000, kRw));

  const std::array<std::byte, 0x1000> bytes = {std::byte{9}};
  const Transfer moved = cut.write(kIova + 0x1000, bytes);
  EXPECT_EQ(moved.count, 0x800U);
  EXPECT_EQ(moved.stop, MemoryErrc::source_truncated);
  EXPECT_EQ(moved.address, kIova.value + 0x1800);
  EXPECT_TRUE(iovas->dirty_at(kIova.value + 0x1000));
  EXPECT_FALSE(iovas->dirty_at(kIova.value + 0x2000));
  EXPECT_FALSE(cut.backend().begin()->dirty().dirty_at(0x1000));

  // A range of views may be moved while it is used: a temporary is.
  std::vector<std::uint64_t> sizes;
  auto there = must(cut.slices(kIova + 0x1000, 0x1000).until_error());
  for (const auto& view : there) sizes.push_back(view.size());
  EXPECT_THAT(sizes, ElementsAre(0x800));
}

}  // namespace
}  // namespace engram::guest
