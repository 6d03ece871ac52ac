// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Guest memory as a dma-buf.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "guest/ram.h"
#include "guest/udmabuf.h"
#include "mapping/options.h"
#include "mapping/shared_memory.h"
#include "mapping/typed_mapping.h"

namespace engram {
namespace {

using guest::GuestExtent;
using guest::MappedRegion;
using guest::MemoryErrc;
using guest::Range;
using mapping::Seals;
using mapping::SharedMemory;
using Ram = guest::MappedMemory<>;

/// Three regions of a page, one behind the other in a file that cannot shrink.
struct XT19 : testing::Test {
  SharedMemory file =
      SharedMemory::create("ram", 3 * kPageSize, {Seals::shrink | Seals::grow, {}}).value();
  Ram ram = Ram::from({region(0x0, 0), region(0x10000, 1), region(0x20000, 2)}).value();

  MappedRegion<> region(std::uint64_t start, std::uint64_t page) {
    return MappedRegion<>::from_file(Range::make(PhysAddr(start), kPageSize).value(),
                                     {file.file(), FileOffset(page * kPageSize)})
        .value();
  }
  std::uint64_t offset_of(std::uint64_t address, std::uint64_t size) {
    const auto part = guest::file_part_of(ram, {PhysAddr(address), size});
    EXPECT_TRUE(part);
    return part ? part->extent.start.value : ~std::uint64_t{0};
  }
};

TEST_F(XT19, OffsetsInTheFile) {
  EXPECT_EQ(offset_of(0x200, 0x100), 0x200U);
  EXPECT_EQ(offset_of(0x10100, 0x100), kPageSize + 0x100);
  EXPECT_EQ(offset_of(0x20300, kPageSize - 0x300), 2 * kPageSize + 0x300);
  const auto beyond = guest::file_part_of(ram, {PhysAddr(0x20300), kPageSize});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, MemoryErrc::invalid_backend_address);
}

TEST_F(XT19, ADmaBufShowsTheSamePages) {
  const std::vector<GuestExtent> wanted = {{PhysAddr(0x20000), kPageSize},
                                           {PhysAddr(0), kPageSize}};
  const auto parts = guest::udmabuf_parts(ram, wanted);
  ASSERT_TRUE(parts);
  const auto buffer = guest::create_udmabuf(*parts);
  if (!buffer && (buffer.error().os_errno == ENOENT || buffer.error().os_errno == EACCES)) {
    GTEST_SKIP() << "no /dev/udmabuf: " << std::strerror(buffer.error().os_errno);
  }
  ASSERT_TRUE(buffer) << mapping::to_string(buffer.error());
  ASSERT_TRUE(ram.write_object(PhysAddr(0x20008), std::uint64_t{42}));
  const auto mapped = mapping::Options(2 * kPageSize)
                          .backing(*buffer)
                          .share(mapping::Share::shared)
                          .map<mapping::ReadWrite>();
  ASSERT_TRUE(mapped) << mapping::to_string(mapped.error());
  EXPECT_EQ(mapped->slice().read_object<std::uint64_t>(8), 42U);
  ASSERT_TRUE(mapped->slice().write_object(kPageSize, std::uint64_t{43}));
  EXPECT_EQ(ram.read_object<std::uint64_t>(PhysAddr(0)), 43U);
}

}  // namespace
}  // namespace engram
