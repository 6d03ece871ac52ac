// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Permissions, the table of translations, and memory behind an IOMMU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "guest/iommu.h"
#include "guest/iotlb.h"
#include "guest/permissions.h"
#include "guest/ram.h"

namespace engram {
namespace {

using guest::AtomicBitmap;
using guest::has_write;
using guest::Iotlb;
using guest::MappedRegion;
using guest::MemoryErrc;
using guest::MemoryResult;
using guest::Permissions;
using guest::Range;
using guest::SharedIotlb;
using guest::Translation;
using mapping::SharedBitmapSlice;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kNo = Permissions::none;
constexpr auto kR = Permissions::read;
constexpr auto kW = Permissions::write;
constexpr auto kRw = Permissions::read_write;
constexpr std::array kAll = {kNo, kR, kW, kRw};

TEST(VT56, PermissionsAreAnAlgebra) {
  for (const Permissions p : kAll) {
    EXPECT_EQ(p & p, p);
    EXPECT_EQ(p | p, p);
    EXPECT_EQ(kNo & p, kNo);
    EXPECT_EQ(kNo | p, p);
    EXPECT_EQ(kRw & p, p);
    EXPECT_EQ(kRw | p, kRw);
    EXPECT_EQ(has_write(p), p == kW || p == kRw);
    for (const Permissions q : kAll) {
      EXPECT_EQ(p & q, q & p);
      EXPECT_EQ(p | q, q | p);
      EXPECT_EQ(guest::allows(p, q), (p | q) == p);
    }
  }
  EXPECT_EQ(kR & kW, kNo);
  EXPECT_EQ(kR | kW, kRw);
}

Range range(std::uint64_t first, std::uint64_t size) {
  return Range::make(PhysAddr(first), size).value();
}

std::vector<Iotlb::Piece> pieces(const Iotlb& tlb, Range iova, Permissions access) {
  auto found = tlb.lookup(iova, access);
  std::vector<Iotlb::Piece> all;
  if (!found) return all;
  while (const auto piece = found->next()) all.push_back(*piece);
  return all;
}

TEST(VT82, NeighboursWithEqualDistanceAreOne) {
  Iotlb tlb;
  ASSERT_TRUE(tlb.map(PhysAddr(42), PhysAddr(87), 123, kRw));
  ASSERT_TRUE(tlb.map(PhysAddr(42 + 123), PhysAddr(87 + 123), 234, kRw));
  EXPECT_THAT(pieces(tlb, range(42, 357), kRw),
              ElementsAre(Iotlb::Piece{range(42, 357), PhysAddr(87)}));
  EXPECT_THAT(pieces(tlb, range(42 + 122, 2), kRw),
              ElementsAre(Iotlb::Piece{range(42 + 122, 2), PhysAddr(87 + 122)}));
}

TEST(VT83, NeighboursOnTheSameTargetAreTwo) {
  Iotlb tlb;
  ASSERT_TRUE(tlb.map(PhysAddr(42), PhysAddr(87), 123, kRw));
  ASSERT_TRUE(tlb.map(PhysAddr(42 + 123), PhysAddr(87), 123, kRw));
  EXPECT_THAT(pieces(tlb, range(42, 246), kRw),
              ElementsAre(Iotlb::Piece{range(42, 123), PhysAddr(87)},
                          Iotlb::Piece{range(42 + 123, 123), PhysAddr(87)}));
}

TEST(VT84, ARefusalNamesTheRanges) {
  Iotlb tlb;
  const Range first = range(42, 123), second = range(42 + 123, 234), both = range(42, 357);
  ASSERT_TRUE(tlb.map(PhysAddr(42), PhysAddr(87), 123, kR));
  ASSERT_TRUE(tlb.map(PhysAddr(42 + 123), PhysAddr(87 + 123), 234, kW));
  const auto refused = [&](Permissions access) {
    const auto found = tlb.lookup(both, access);
    EXPECT_FALSE(found);
    EXPECT_THAT(found.error().missing, IsEmpty());
    return found.error().refused;
  };
  EXPECT_THAT(refused(kRw), ElementsAre(first, second));
  EXPECT_THAT(refused(kR), ElementsAre(second));
  EXPECT_THAT(refused(kW), ElementsAre(first));
  EXPECT_EQ(pieces(tlb, both, kNo).size(), 2U);
  EXPECT_EQ(pieces(tlb, first, kR).size(), 1U);
  EXPECT_EQ(pieces(tlb, second, kW).size(), 1U);
}

TEST(VT85, InvalidationPunchesAHole) {
  Iotlb tlb;
  ASSERT_TRUE(tlb.map(PhysAddr(42), PhysAddr(87), 123, kRw));
  ASSERT_TRUE(tlb.invalidate(PhysAddr(80), 3));
  EXPECT_EQ(pieces(tlb, range(42, 38), kRw).size(), 1U);
  EXPECT_THAT(pieces(tlb, range(83, 82), kRw),
              ElementsAre(Iotlb::Piece{range(83, 82), PhysAddr(87 + 41)}));
  EXPECT_THAT(tlb.lookup(range(42, 123), kRw).error().missing, ElementsAre(range(80, 3)));
  tlb.invalidate_all();
  EXPECT_THAT(tlb.lookup(range(42, 123), kRw).error().missing, ElementsAre(range(42, 123)));
}

using RamRegion = MappedRegion<SharedBitmapSlice>;
using Backend = guest::RegionCollection<RamRegion>;

/// Regions of four pages, each filled with its own byte.
Backend backend(std::vector<std::uint64_t> starts, char byte) {
  std::vector<RamRegion> regions;
  for (const std::uint64_t start : starts) {
    regions.push_back(RamRegion::anonymous(range(start, 0x4000)).value());
    std::vector<std::byte> content(0x4000, static_cast<std::byte>(byte++));
    EXPECT_TRUE(regions.back().write(RegionOffset(), content).complete());
    regions.back().dirty().bitmap()->reset();
  }
  return Backend::from(std::move(regions)).value();
}

constexpr std::uint64_t kIova = 0x40000;
using Premapped = guest::IommuMemory<Backend, SharedIotlb, SharedBitmapSlice>;

/// 0x3000 of the first and 0x1000 of the second region.
std::shared_ptr<SharedIotlb> premapped(Permissions allowed) {
  auto tlb = std::make_shared<SharedIotlb>();
  EXPECT_TRUE(tlb->map(PhysAddr(kIova), PhysAddr(0x1000), 0x3000, allowed));
  EXPECT_TRUE(tlb->map(PhysAddr(kIova + 0x3000), PhysAddr(0x10000), 0x1000, allowed));
  return tlb;
}
SharedBitmapSlice iova_bitmap() {
  return SharedBitmapSlice(std::make_shared<AtomicBitmap>(kIova + 0x8000));
}

template <class M>
std::string content(const M& memory, std::uint64_t at, std::size_t size) {
  std::string text(size, '?');
  const auto moved = memory.read(PhysAddr(at), std::as_writable_bytes(std::span(text)));
  EXPECT_TRUE(moved.complete());
  return text;
}

TEST(VT86, PremappedForReading) {
  const Premapped memory(backend({0, 0x10000}, 'a'), premapped(kR), true, iova_bitmap());
  for (const Permissions access : kAll) {
    EXPECT_EQ(memory.check(PhysAddr(kIova), 0x4000, access), !has_write(access));
    EXPECT_FALSE(memory.check(PhysAddr(kIova - 1), 1, access));
    EXPECT_FALSE(memory.check(PhysAddr(kIova + 0x4000), 1, access));
  }
  EXPECT_EQ(content(memory, kIova, 0x4000), std::string(0x3000, 'a') + std::string(0x1000, 'b'));
  const auto beyond = memory.slice(PhysAddr(kIova + 0x3ff0), 0x100);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, MemoryErrc::iommu_cannot_resolve);
  EXPECT_EQ(beyond.error().address, kIova + 0x4000);
  EXPECT_EQ(beyond.error().expected, 0xf0U);
  const auto refused = memory.mutable_slice(PhysAddr(kIova + 0x10), 0x20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, MemoryErrc::access_refused);
  EXPECT_EQ(refused.error().address, kIova + 0x10);
  EXPECT_EQ(refused.error().expected, 0x20U);
  EXPECT_EQ(memory.physical_memory(), nullptr);
}

/// An IOMMU that learns translations when they are needed.
struct OnMiss {
  struct Request {
    Range range;
    bool miss;  // or a translation with too few rights
    bool operator==(const Request&) const = default;
  };
  mutable SharedIotlb tlb;
  mutable std::vector<Request> requests;
  std::uint64_t distance = kIova;  // IOVA - physical address

  MemoryResult<Translation> translate(Range iova, Permissions access) const {
    return tlb.translate(iova, access, [&](const Iotlb::Obstacles& obstacles) {
      for (const Range& missing : obstacles.missing) requests.push_back({missing, true});
      for (const Range& refused : obstacles.refused) requests.push_back({refused, false});
      MemoryResult<void> done;
      for (const auto* list : {&obstacles.missing, &obstacles.refused}) {
        for (const Range& part : *list) {
          if (done) done = tlb.map(part.first(), part.first() - distance, part.size(), access);
        }
      }
      return done;
    });
  }
};
static_assert(guest::Iommu<OnMiss>);

TEST(VT87, FilledOnMissAndUpgraded) {
  const auto iommu = std::make_shared<OnMiss>();
  const guest::IommuMemory<Backend, OnMiss, SharedBitmapSlice> memory(backend({0}, 'a'), iommu,
                                                                      true, iova_bitmap());
  ASSERT_TRUE(iommu->tlb.map(PhysAddr(kIova), PhysAddr(0), 0x100, kR));
  EXPECT_EQ(content(memory, kIova + 0x80, 0x100), std::string(0x100, 'a'));
  EXPECT_THAT(iommu->requests, ElementsAre(OnMiss::Request{range(kIova + 0x100, 0x80), true}));
  iommu->requests.clear();
  EXPECT_EQ(content(memory, kIova, 0x180), std::string(0x180, 'a'));
  EXPECT_THAT(iommu->requests, IsEmpty());
  ASSERT_TRUE(memory.write_object(PhysAddr(kIova + 0x40), std::uint64_t{5}));
  EXPECT_THAT(iommu->requests, ElementsAre(OnMiss::Request{range(kIova + 0x40, 8), false}));
}

TEST(VT88, TheBackendIsReplacedAndTheIommuStays) {
  const auto tlb = premapped(kRw);
  const Premapped memory(backend({0, 0x10000}, 'a'), tlb, true, iova_bitmap());
  const Premapped clone = memory;
  const Premapped replaced = memory.with_replaced_backend(backend({0, 0x10000}, 'x'));
  EXPECT_TRUE(replaced.iommu_enabled());
  EXPECT_EQ(content(replaced, kIova + 0x2fff, 2), "xy");
  EXPECT_EQ(content(clone, kIova + 0x2fff, 2), "ab");
  ASSERT_TRUE(tlb->invalidate(PhysAddr(kIova), 0x1000));
  for (const Premapped* one : {&memory, &clone, &replaced}) {
    EXPECT_FALSE(one->check(PhysAddr(kIova), 1, kR)) << "all share the table";
    EXPECT_TRUE(one->check(PhysAddr(kIova + 0x1000), 1, kR));
  }
}

TEST(VT89, WithAnIommuOnlyIovasAreDirty) {
  const auto iovas = std::make_shared<AtomicBitmap>(kIova + 0x8000);
  const Premapped memory(backend({0, 0x10000}, 'a'), premapped(kRw), true,
                         SharedBitmapSlice(iovas));
  const auto dirty = [&] {
    std::vector<std::uint64_t> pages;
    for (std::uint64_t at = 0; at < iovas->byte_size(); at += kPageSize) {
      if (iovas->dirty_at(at)) pages.push_back(at);
    }
    return pages;
  };
  const auto no_physical_page_is_dirty = [&] {
    return std::all_of(memory.backend().begin(), memory.backend().end(), [](const RamRegion& one) {
      const auto words = one.dirty().bitmap()->get_and_reset();
      return std::all_of(words.begin(), words.end(), [](std::uint64_t word) { return word == 0; });
    });
  };
  EXPECT_EQ(content(memory, kIova, 0x2000), std::string(0x2000, 'a'));
  EXPECT_THAT(dirty(), IsEmpty());
  const auto slice = memory.mutable_slice(PhysAddr(kIova), 0x2000);
  ASSERT_TRUE(slice);
  EXPECT_THAT(dirty(), IsEmpty());
  ASSERT_TRUE(slice->store(0, std::uint64_t{1}));
  EXPECT_THAT(dirty(), ElementsAre(kIova));
  ASSERT_TRUE(slice->store(kPageSize, std::uint64_t{1}));
  EXPECT_THAT(dirty(), ElementsAre(kIova, kIova + kPageSize));
  EXPECT_TRUE(no_physical_page_is_dirty());
}

}  // namespace
}  // namespace engram
