// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/xen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "guest/any_region.h"
#include "guest/mapped_region.h"
#include "guest/region_collection.h"
#include "guest/test_xen.h"

namespace engram::guest {
namespace {

using mapping::Prot;
using mapping::Share;
using testing::ElementsAre;

template <class T>
MemoryErrc code(const MemoryResult<T>& result) {
  return result ? MemoryErrc::none : result.error().code;
}

struct XenTest : testing::Test {
  [[nodiscard]] XenRange range(std::uint32_t flags, std::uint64_t size = 4 * kPageSize) const {
    XenRange wanted{PhysAddr(0x10000), size, flags, 7};
    wanted.file = FileRef{devices->domain.file(), FileOffset()};  // stands for the device file
    wanted.prot = Prot::read | Prot::write;
    wanted.share = Share::shared;
    return wanted;
  }
  [[nodiscard]] XenRange on_demand(std::uint64_t size = 256 * kPageSize) const {
    return range(XenFlags::kGrant | XenFlags::kNoAdvance, size);
  }
  /// The first byte of a frame, as the domain sees it.
  [[nodiscard]] std::byte in_domain(std::uint64_t frame) const {
    std::array<std::byte, 1> first = {};
    EXPECT_TRUE(devices->domain.file().read_at(FileOffset(frame * kPageSize), first).complete());
    return first[0];
  }

  std::shared_ptr<test::StubXenDevices> devices = std::make_shared<test::StubXenDevices>();
};

TEST_F(XenTest, ForeignMemoryIsMappedFrameByFrame) {
  const auto mapping = XenMapping::create(range(XenFlags::kForeign), devices);
  ASSERT_TRUE(mapping);
  EXPECT_TRUE(mapping->in_advance());
  EXPECT_THAT(devices->calls, ElementsAre("map", "map batch"));
  EXPECT_THAT(devices->frames, ElementsAre(0x10, 0x11, 0x12, 0x13));
  EXPECT_EQ(devices->batch.domain, 7U);
  EXPECT_EQ(devices->batch.address,
            reinterpret_cast<std::uintptr_t>(mapping->native_range().address));
}

TEST_F(XenTest, AFrameThatIsRefusedFailsTheMapping) {
  devices->fail_frame_with = ENOENT;
  const auto mapping = XenMapping::create(range(XenFlags::kForeign), devices);
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().os_errno, ENOENT);
  EXPECT_EQ(mapping.error().address, 0x11000U);
  EXPECT_THAT(devices->calls, ElementsAre("map", "map batch", "unmap"));
}

TEST_F(XenTest, GrantsInAdvanceAreGivenBackAfterTheUnmapping) {
  {
    const auto mapping = XenMapping::create(range(XenFlags::kGrant), devices);
    ASSERT_TRUE(mapping);
    EXPECT_TRUE(mapping->in_advance());
    const auto window = mapping->window(0x1000, 8, Permissions::read_write);
    ASSERT_TRUE(window);
    ASSERT_TRUE(window->mutable_slice().write_object(0, std::uint8_t{9}));
    EXPECT_THAT(devices->calls, ElementsAre("map grants", "map"));
  }
  EXPECT_EQ(in_domain(0x11), std::byte{9}) << "reference n is frame n";
  EXPECT_THAT(devices->calls, ElementsAre("map grants", "map", "unmap", "unmap grants"));
  EXPECT_EQ(devices->granted(), 0U);
}

TEST_F(XenTest, GrantsThatCannotBeMappedAreGivenBack) {
  devices->refuse_to_map = true;
  EXPECT_EQ(code(XenMapping::create(range(XenFlags::kGrant), devices)), MemoryErrc::os);
  EXPECT_THAT(devices->calls, ElementsAre("map grants", "map", "unmap grants"));
}

TEST_F(XenTest, OnDemandMapsOnlyTheWindow) {
  const auto region = XenRegion<>::create(on_demand(), devices);
  ASSERT_TRUE(region);
  EXPECT_TRUE(devices->calls.empty());
  {
    auto window = region->guard(RegionOffset(0x2ff0), 0x20, Permissions::read);
    ASSERT_TRUE(window);
    EXPECT_EQ(window->size(), 0x20U);
    EXPECT_EQ(devices->grants.size(), 2U) << "the pages that it touches";
    EXPECT_EQ(devices->grants[0].ref, 0x12U);
    EXPECT_EQ(devices->grants[1].ref, 0x13U);
    EXPECT_EQ(devices->grants[0].domain, 7U);
    EXPECT_EQ(devices->prot, Prot::read);
    const XenWindow moved = std::move(*window);
    EXPECT_EQ(devices->granted(), 1U);
  }
  EXPECT_EQ(devices->granted(), 0U);
  EXPECT_EQ(devices->calls.back(), "unmap grants");
}

TEST_F(XenTest, OnDemandHasNoViewsButCopies) {
  const auto region = XenRegion<BitmapSlice>::create(on_demand(), devices);
  ASSERT_TRUE(region);
  EXPECT_EQ(code(region->view(RegionOffset(0), 8)), MemoryErrc::host_address_unavailable);
  const auto memory = RegionCollection<XenRegion<BitmapSlice>>::from({*region});
  ASSERT_TRUE(memory);
  std::vector<std::byte> bytes(100 * kPageSize);  // more than one window
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i / 4093);
  ASSERT_TRUE(memory->write_exact(PhysAddr(0x10123), bytes));
  std::vector<std::byte> back(bytes.size());
  ASSERT_TRUE(memory->read_exact(PhysAddr(0x10123), back));
  EXPECT_EQ(bytes, back);
  EXPECT_TRUE(region->dirty().dirty_at(0));
  EXPECT_TRUE(region->dirty().dirty_at(100 * kPageSize));
  EXPECT_FALSE(region->dirty().dirty_at(101 * kPageSize));
  EXPECT_EQ(devices->granted(), 0U);
}

TEST_F(XenTest, AFailingWindowIsAnErrorOrAShortCount) {
  const auto region = XenRegion<>::create(on_demand(), devices);
  ASSERT_TRUE(region);
  devices->fail_with = EPERM;
  const auto window = region->guard(RegionOffset(0), 8, Permissions::read);
  ASSERT_FALSE(window);
  EXPECT_EQ(window.error().os_errno, EPERM);
  std::array<std::byte, 8> bytes;
  const Transfer moved = region->read(RegionOffset(0), bytes);
  EXPECT_EQ(moved.stop, MemoryErrc::os);
  EXPECT_EQ(moved.count, 0U);
  EXPECT_EQ(code(region->guard(RegionOffset(0xfffff), 2, Permissions::read)),
            MemoryErrc::invalid_backend_address);
}

TEST_F(XenTest, WhatIsMappedForReadingCannotBeWritten) {
  XenRange wanted = range(XenFlags::kForeign);
  wanted.prot = Prot::read;
  const auto region = XenRegion<>::create(wanted, devices);
  ASSERT_TRUE(region);
  EXPECT_TRUE(region->view(RegionOffset(0), 8));
  EXPECT_EQ(code(region->mutable_view(RegionOffset(0), 8)), MemoryErrc::access_refused);
  EXPECT_EQ(region->write(RegionOffset(0), std::array<std::byte, 1>()).stop,
            MemoryErrc::access_refused);
}

TEST_F(XenTest, GrantAddressesMayCarryTheirMark) {
  XenRange wanted = on_demand();
  wanted.start = PhysAddr((std::uint64_t{1} << 63) + 0x20000);
  const auto mapping = XenMapping::create(wanted, devices);
  ASSERT_TRUE(mapping);
  ASSERT_TRUE(mapping->window(0, 1, Permissions::read));
  EXPECT_EQ(devices->grants[0].ref, 0x20U);
  wanted.start = PhysAddr((std::uint64_t{1} << 63) - kPageSize);
  const auto far = XenMapping::create(wanted, devices);
  ASSERT_TRUE(far);
  EXPECT_EQ(code(far->window(0, 1, Permissions::read)), MemoryErrc::too_big);
}

TEST_F(XenTest, RefusesWhatNoDomainHas) {
  XenRange wanted = range(XenFlags::kForeign);
  wanted.domain = 0x10000;
  EXPECT_EQ(code(XenMapping::create(wanted, devices)), MemoryErrc::too_big);
  wanted = range(XenFlags::kForeign);
  wanted.start = PhysAddr(0x10001);
  EXPECT_EQ(code(XenMapping::create(wanted, devices)), MemoryErrc::not_page_aligned);
  wanted = on_demand();
  wanted.start = PhysAddr(0) - kPageSize;
  EXPECT_EQ(code(XenMapping::create(wanted, devices)), MemoryErrc::range_overflow);
  wanted = range(XenFlags::kForeign);
  wanted.file.reset();
  EXPECT_EQ(code(XenMapping::create(wanted, devices)), MemoryErrc::unsupported);
}

/// The choice is made at run time, region by region.
TEST_F(XenTest, StandsBesideOrdinaryMemory) {
  using Any = RegionVariant<NoTracker, MappedRegion<>, XenRegion<>>;
  const auto plain = MappedRegion<>::anonymous(*Range::make(PhysAddr(0xf000), kPageSize));
  const auto xen = XenRegion<>::create(on_demand(), devices);
  ASSERT_TRUE(plain && xen);
  const auto memory = RegionCollection<Any>::from({Any(*plain), Any(*xen)});
  ASSERT_TRUE(memory);
  ASSERT_TRUE(memory->write_object<std::uint64_t>(PhysAddr(0xfffc), 0x1122334455667788));
  EXPECT_EQ(memory->read_object<std::uint64_t>(PhysAddr(0xfffc)), 0x1122334455667788U);
  EXPECT_EQ(in_domain(0x10), std::byte{0x44});
}

TEST_F(XenTest, TheDevicesOfThisHostRefuseOrdinaryFiles) {
  const auto refused = XenMapping::create(range(XenFlags::kForeign));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().os_errno, ENOTTY) << "the request got to the kernel";
}

TEST_F(XenTest, PlainMemoryIsNotMoreThanItsFileHas) {
  const auto file = mapping::SharedMemory::create("short", 100);
  XenRange wanted = range(XenFlags::kPlain);
  wanted.file = FileRef{file->file(), FileOffset()};
  const auto region = XenRegion<>::create(wanted, devices);
  ASSERT_FALSE(region) << "the rest of the page would be zeros that nobody wrote";
  EXPECT_EQ(region.error().code, MemoryErrc::source_truncated);
  EXPECT_EQ(region.error().address, wanted.start.value + 100);
}

TEST_F(XenTest, PlainMemoryNeedsNoDevice) {
  XenRange wanted = range(XenFlags::kPlain);
  wanted.file.reset();
  wanted.share = Share::private_;
  const auto region = XenRegion<>::create(wanted, devices);
  ASSERT_TRUE(region);
  const auto view = region->mutable_view(RegionOffset(0), 8);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->write_object(0, std::uint64_t{5}));
  EXPECT_TRUE(devices->calls.empty());
}

}  // namespace
}  // namespace engram::guest
