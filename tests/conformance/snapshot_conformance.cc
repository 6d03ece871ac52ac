// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The memory of a stopped machine in a file.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "guest/ram.h"
#include "guest/snapshot_file.h"
#include "mapping/shared_memory.h"

namespace engram {
namespace {

using guest::MappedRegion;
using guest::Range;
using mapping::Extent;
using mapping::SharedMemory;
using Ram = guest::MappedMemory<>;

constexpr std::uint64_t kSize = 0x10000;
constexpr std::uint64_t kRegions = 5;
constexpr std::uint64_t kStride = 0x20000;

PhysAddr in_region(std::uint64_t index, std::uint64_t offset) {
  return PhysAddr(index * kStride + offset);
}

Ram in_memory_file(const SharedMemory& file) {
  std::vector<MappedRegion<>> regions;
  for (std::uint64_t i = 0; i < kRegions; ++i) {
    regions.push_back(MappedRegion<>::from_file(Range::make(in_region(i, 0), kSize).value(),
                                                {file.file(), FileOffset(i * kSize)})
                          .value());
  }
  return Ram::from(std::move(regions)).value();
}

Ram anonymous() {
  std::vector<MappedRegion<>> regions;
  for (std::uint64_t i = 0; i < kRegions; ++i) {
    regions.push_back(
        MappedRegion<>::anonymous(Range::make(in_region(i, 0), kSize).value()).value());
  }
  return Ram::from(std::move(regions)).value();
}

const std::vector<std::pair<PhysAddr, std::uint64_t>> kValues = {{in_region(0, 0xfff8), 1},
                                                                 {in_region(1, 0x0), 2},
                                                                 {in_region(2, 0x9000), 3},
                                                                 {in_region(4, 0x0ff8), 4}};
const std::vector<std::vector<Extent>> kData = {
    {{0xf000, 0x1000}}, {{0, 0x1000}}, {{0x9000, 0x1000}}, {}, {{0, 0x1000}}};

void save_and_restore(const Ram& from, const Ram& to) {
  for (const auto& [address, value] : kValues) ASSERT_TRUE(from.write_object(address, value));
  const auto file = SharedMemory::create("snapshot", 0);
  ASSERT_TRUE(file);
  const auto metadata = guest::save_snapshot(from, file->file());
  ASSERT_TRUE(metadata) << metadata.error().text;
  ASSERT_EQ(metadata->size(), kRegions);
  for (std::size_t i = 0; i < kRegions; ++i) {
    EXPECT_EQ((*metadata)[i].range, from.begin()[i].range());
    EXPECT_EQ((*metadata)[i].data, kData[i]) << "region " << i;
  }

  const PhysAddr stray = in_region(3, 0x4000);
  ASSERT_TRUE(to.write_object(stray, std::uint64_t{99}));
  const auto restored = guest::restore_snapshot(to, file->file());
  ASSERT_TRUE(restored) << restored.error().text;
  EXPECT_EQ(to.read_object<std::uint64_t>(stray), 0U);
  for (const auto& [address, value] : kValues) {
    EXPECT_EQ(to.read_object<std::uint64_t>(address), value);
  }
}

TEST(XT14, FileMemoryByItsHoles) {
  const auto file = SharedMemory::create("ram", kRegions * kSize);
  ASSERT_TRUE(file);
  save_and_restore(in_memory_file(*file), anonymous());
}

TEST(XT14, AnonymousMemoryByItsZeros) {
  const auto file = SharedMemory::create("ram", kRegions * kSize);
  ASSERT_TRUE(file);
  save_and_restore(anonymous(), in_memory_file(*file));
}

}  // namespace
}  // namespace engram
