// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/udmabuf.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "guest/mapped_region.h"
#include "guest/region_collection.h"
#include "mapping/shared_memory.h"

namespace engram::guest {
namespace {

using mapping::SharedMemory;

template <class T>
MemoryErrc code(const MemoryResult<T>& result) {
  return result ? MemoryErrc::none : result.error().code;
}

struct UdmabufTest : testing::Test {
  SharedMemory file = *SharedMemory::create("ram", 0x8000);
  RegionCollection<MappedRegion<>> ram = *RegionCollection<MappedRegion<>>::from(
      {*MappedRegion<>::from_file(*Range::make(PhysAddr(0), 0x4000), {file.file(), FileOffset()}),
       *MappedRegion<>::from_file(*Range::make(PhysAddr(0x4000), 0x4000),
                                  {file.file(), FileOffset(0x4000)}),
       *MappedRegion<>::anonymous(*Range::make(PhysAddr(0x10000), 0x1000))});

  auto parts(std::vector<GuestExtent> wanted) { return udmabuf_parts(ram, wanted); }
};

TEST_F(UdmabufTest, PartsKeepTheirOrderAndMayRepeat) {
  const auto found =
      parts({{PhysAddr(0x5000), 0x2000}, {PhysAddr(0), 0x1000}, {PhysAddr(0), 0x1000}});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].extent, (mapping::FileExtent{FileOffset(0x5000), 0x2000}));
  EXPECT_EQ((*found)[1].extent, (mapping::FileExtent{FileOffset(0), 0x1000}));
  EXPECT_EQ((*found)[2].extent, (*found)[1].extent);
  EXPECT_EQ((*found)[0].file.fd(), file.file().fd());
}

TEST_F(UdmabufTest, RefusesWhatIsNotWholePagesOfOneRegionWithAFile) {
  EXPECT_EQ(code(parts({})), MemoryErrc::invalid_size);
  EXPECT_EQ(code(parts({{PhysAddr(0x800), 0x1000}})), MemoryErrc::not_page_aligned);
  EXPECT_EQ(code(parts({{PhysAddr(0), 0x800}})), MemoryErrc::not_page_aligned);
  EXPECT_EQ(code(parts({{PhysAddr(0), 0}})), MemoryErrc::invalid_size);
  EXPECT_EQ(code(parts({{PhysAddr(0x3000), 0x2000}})), MemoryErrc::invalid_backend_address);
  EXPECT_EQ(code(parts({{PhysAddr(0x9000), 0x1000}})), MemoryErrc::invalid_guest_address);
  EXPECT_EQ(code(parts({{PhysAddr(0x10000), 0x1000}})), MemoryErrc::unsupported);
  EXPECT_EQ(code(parts({{PhysAddr(0) - 0x1000, 0x2000}})), MemoryErrc::range_overflow);
}

TEST_F(UdmabufTest, ADeviceThatIsNoneIsAnError) {
  const auto found = parts({{PhysAddr(0), 0x1000}});
  ASSERT_TRUE(found);
  const auto absent = create_udmabuf(*found, "/no/such/device");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().os_errno, ENOENT);
  const auto other = create_udmabuf(*found, "/dev/null");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().os_errno, ENOTTY) << "the request got to the kernel";
}

}  // namespace
}  // namespace engram::guest
