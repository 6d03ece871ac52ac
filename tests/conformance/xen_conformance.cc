// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Memory of Xen domains. No host of these tests runs under Xen: the devices are stubs
// (guest/test_xen.h), which take the requests that the kernel would get.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "guest/test_xen.h"
#include "guest/xen.h"

namespace engram {
namespace {

using guest::MemoryErrc;
using guest::XenFlags;
using guest::XenMapping;
using guest::XenRange;

struct XenScenario : testing::Test {
  std::shared_ptr<test::StubXenDevices> devices = std::make_shared<test::StubXenDevices>();

  [[nodiscard]] XenRange range(std::uint32_t flags) const {
    XenRange wanted{PhysAddr(0), kPageSize, flags, 1};
    wanted.file = guest::FileRef{devices->domain.file(), FileOffset()};
    wanted.prot = mapping::Prot::read | mapping::Prot::write;
    wanted.share = mapping::Share::shared;
    return wanted;
  }
  [[nodiscard]] auto create(const XenRange& wanted) const {
    return XenMapping::create(wanted, devices);
  }
  [[nodiscard]] MemoryErrc error_of(const XenRange& wanted) const {
    const auto mapping = create(wanted);
    return mapping ? MemoryErrc::none : mapping.error().code;
  }
};
struct VT77 : XenScenario {};
struct VT78 : XenScenario {};
struct VT79 : XenScenario {};

TEST_F(VT77, FlagsThatMeanNothingAreRefused) {
  for (const std::uint32_t flags : {std::uint32_t{16}, XenFlags::kForeign | XenFlags::kGrant,
                                    XenFlags::kForeign | XenFlags::kNoAdvance}) {
    const auto mapping = create(range(flags));
    ASSERT_FALSE(mapping);
    EXPECT_EQ(mapping.error().code, MemoryErrc::bad_flags);
    EXPECT_EQ(mapping.error().expected, flags);
  }
}

TEST_F(VT77, TheOthersAreMappedInAdvanceOrNot) {
  for (const std::uint32_t flags : {XenFlags::kForeign, XenFlags::kGrant}) {
    const auto mapping = create(range(flags));
    ASSERT_TRUE(mapping);
    EXPECT_TRUE(mapping->in_advance());
    EXPECT_NE(mapping->native_range().address, nullptr);
  }
  const auto later = create(range(XenFlags::kGrant | XenFlags::kNoAdvance));
  ASSERT_TRUE(later);
  EXPECT_FALSE(later->in_advance());
  EXPECT_EQ(later->native_range().address, nullptr);
}

TEST_F(VT78, WhatIsMappedInAdvanceMustBeWhole) {
  for (const std::uint32_t flags : {XenFlags::kForeign, XenFlags::kGrant}) {
    XenRange wanted = range(flags);
    wanted.prot.reset();
    EXPECT_EQ(error_of(wanted), MemoryErrc::unsupported);
    wanted = range(flags);
    wanted.share.reset();
    EXPECT_EQ(error_of(wanted), MemoryErrc::unsupported);
    wanted = range(flags);
    wanted.file->offset = FileOffset(1);
    EXPECT_EQ(error_of(wanted), MemoryErrc::invalid_offset);
    wanted = range(flags);
    wanted.size = 0;
    const auto empty = create(wanted);
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().code, MemoryErrc::invalid_size);
    EXPECT_EQ(empty.error().os_errno, EINVAL);
  }
  EXPECT_TRUE(devices->calls.empty()) << "no device was asked";
}

TEST_F(VT78, WhatIsMappedOnDemandNeedsNeitherYet) {
  XenRange wanted = range(XenFlags::kGrant | XenFlags::kNoAdvance);
  wanted.size = 0;
  EXPECT_TRUE(create(wanted));
  wanted = range(XenFlags::kGrant | XenFlags::kNoAdvance);
  wanted.prot.reset();
  EXPECT_TRUE(create(wanted));
}

TEST_F(VT79, ARequestFor0x100Grants) {
  XenRange wanted = range(XenFlags::kGrant);
  wanted.size = 0x100 * kPageSize;
  const auto mapping = create(wanted);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(devices->grant_head.count, 0x100U);
  EXPECT_EQ(devices->grant_head.padding, 0U);
  EXPECT_EQ(devices->grant_head.index, 0U);
  ASSERT_EQ(devices->grants.size(), 0x100U);
  for (std::uint32_t i = 0; i < 0x100; ++i) {
    EXPECT_EQ(devices->grants[i].domain, 1U);
    EXPECT_EQ(devices->grants[i].ref, i);
  }
}

}  // namespace
}  // namespace engram
