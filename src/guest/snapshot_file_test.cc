// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/snapshot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "guest/region_collection.h"
#include "mapping/shared_memory.h"

namespace engram::guest {
namespace {

using mapping::Extent;
using mapping::File;
using mapping::SharedMemory;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Ram = RegionCollection<MappedRegion<>>;

constexpr std::uint64_t kSize = 8 * kPageSize;
constexpr PhysAddr kSecond(0x100000);

Ram anonymous(std::uint64_t second_size = kSize) {
  return *Ram::from({*MappedRegion<>::anonymous(*Range::make(PhysAddr(0), kSize)),
                     *MappedRegion<>::anonymous(*Range::make(kSecond, second_size))});
}

File new_file() {
  return SharedMemory::create("snapshot", 0)->file();
}

std::string text_of(const Result<void>& result) {
  return result ? "" : result.error().text;
}

struct SnapshotTest : testing::Test {
  SnapshotTest() {
    EXPECT_TRUE(ram.write_object(PhysAddr(0x1ff8), std::uint64_t{1}));
    EXPECT_TRUE(ram.write_object(PhysAddr(0x2000), std::uint64_t{2}));
    EXPECT_TRUE(ram.write_object(kSecond + kSize - 8, std::uint64_t{3}));
  }
  Ram ram = anonymous();
  File file = new_file();
};

TEST_F(SnapshotTest, StoresPagesThatAreNotZero) {
  const auto metadata = save_snapshot(ram, file);
  ASSERT_TRUE(metadata);
  ASSERT_EQ(metadata->size(), 2U);
  EXPECT_THAT((*metadata)[0].data, ElementsAre(Extent{0x1000, 0x2000}));
  EXPECT_THAT((*metadata)[1].data, ElementsAre(Extent{kSize - 0x1000, 0x1000}));
}

TEST_F(SnapshotTest, ARestoredMemoryIsEqual) {
  ASSERT_TRUE(save_snapshot(ram, file));
  const Ram other = anonymous();
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(other.write_object(PhysAddr(random() % (kSize - 8)), random()));
  }
  ASSERT_TRUE(restore_snapshot(other, file));
  for (const PhysAddr start : {PhysAddr(0), kSecond}) {
    std::vector<std::byte> expected(kSize), found(kSize);
    ASSERT_TRUE(ram.read_exact(start, expected));
    ASSERT_TRUE(other.read_exact(start, found));
    EXPECT_EQ(expected, found);
  }
}

TEST_F(SnapshotTest, AFileThatIsNotEmptyIsNotOverwritten) {
  ASSERT_TRUE(save_snapshot(ram, file));
  const auto again = save_snapshot(ram, file);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().text, HasSubstr("empty"));
}

TEST_F(SnapshotTest, OtherGeometryIsRefused) {
  ASSERT_TRUE(save_snapshot(ram, file));
  EXPECT_THAT(text_of(restore_snapshot(anonymous(kSize / 2), file)), HasSubstr("region 1"));
  const auto one = Ram::from({*MappedRegion<>::anonymous(*Range::make(PhysAddr(0), kSize))});
  EXPECT_THAT(text_of(restore_snapshot(*one, file)), HasSubstr("2 regions"));
}

TEST_F(SnapshotTest, EveryCutIsRefusedAndChangesNothing) {
  ASSERT_TRUE(save_snapshot(ram, file));
  const std::uint64_t size = *file.size();
  const Ram other = anonymous();
  for (std::uint64_t cut = size - 1; cut > 4096; cut -= 911) {
    ASSERT_TRUE(file.resize(cut));
    ASSERT_THAT(text_of(restore_snapshot(other, file)), HasSubstr("the file has"));
  }
  for (std::uint64_t cut = 111;
       cut-- > 0;) {  // in the table: 16 + 2 * 24 + 2 * 16 bytes, and behind
    ASSERT_TRUE(file.resize(cut));
    ASSERT_NE(text_of(restore_snapshot(other, file)), "");
  }
  EXPECT_EQ(other.read_object<std::uint64_t>(PhysAddr(0x2000)), 0U);
}

TEST_F(SnapshotTest, TrailingBytesAreRefused) {
  ASSERT_TRUE(save_snapshot(ram, file));
  ASSERT_TRUE(file.resize(*file.size() + 1));
  EXPECT_THAT(text_of(restore_snapshot(ram, file)), HasSubstr("1 bytes too many"));
}

TEST_F(SnapshotTest, HostileTablesAreRefused) {
  ASSERT_TRUE(save_snapshot(ram, file));
  const std::uint64_t size = *file.size();
  const auto with = [&](std::uint64_t offset, std::uint64_t value) {
    const File copy = new_file();
    std::vector<std::byte> bytes(size);
    EXPECT_TRUE(file.read_at(FileOffset(), bytes).complete());
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    EXPECT_TRUE(copy.write_at(FileOffset(), bytes).complete());
    return text_of(restore_snapshot(ram, copy));
  };
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  EXPECT_THAT(with(0, 0), HasSubstr("not a snapshot"));
  EXPECT_THAT(with(8, kHuge), HasSubstr("regions"));
  EXPECT_THAT(with(16 + 16, kHuge), HasSubstr("do not fit"));  // extents of region 0
  EXPECT_THAT(with(16 + 16, 3), HasSubstr("extent"));          // those of region 1, too
  const std::uint64_t extents = 16 + 2 * 24;
  EXPECT_THAT(with(extents, kHuge), HasSubstr("extent 0"));      // offset
  EXPECT_THAT(with(extents + 8, kHuge), HasSubstr("extent 0"));  // size
  EXPECT_THAT(with(extents + 8, 0), HasSubstr("extent 0"));
  EXPECT_THAT(with(extents + 8, 0x1000), HasSubstr("too many"));
}

TEST_F(SnapshotTest, APrivateMappingOfAFileIsNotWhatTheFileIs) {
  const auto backing = SharedMemory::create("backing", kSize);
  using Mapping = MappedRegion<>::Mapping;
  auto mapping = mapping::Options(kSize).backing(*backing).map<mapping::ReadWrite>();
  ASSERT_TRUE(mapping);
  const auto region =
      MappedRegion<>::from_mapping(PhysAddr(0), std::make_shared<Mapping>(std::move(*mapping)));
  const auto one = Ram::from({*region});
  ASSERT_TRUE(one->write_object(PhysAddr(0x3000), std::uint64_t{7}));
  const auto metadata = save_snapshot(*one, file);
  ASSERT_TRUE(metadata);
  EXPECT_THAT((*metadata)[0].data, ElementsAre(Extent{0x3000, 0x1000}));
}

TEST_F(SnapshotTest, MemoryThatIsNotThereCannotBeSaved) {
  const auto backing = SharedMemory::create("backing", kPageSize);
  const auto region = MappedRegion<>::from_file(*Range::make(PhysAddr(0x5000), kSize),
                                                {backing->file(), FileOffset()});
  ASSERT_TRUE(region);
  const auto saved = save_snapshot(*Ram::from({*region}), file);
  ASSERT_FALSE(saved) << "what a file does not have is not zeros";
  EXPECT_THAT(saved.error().text, HasSubstr("memory at 0x6000: source truncated"));
}

TEST_F(SnapshotTest, PagesThatAreZerosTakeNoMemoryWhenTheyAreRestored) {
  const auto backing = SharedMemory::create("backing", 16 * kPageSize);
  const auto region = MappedRegion<>::from_file(*Range::make(PhysAddr(0), 16 * kPageSize),
                                                {backing->file(), FileOffset()});
  ASSERT_TRUE(region);
  const auto one = Ram::from({*region});
  ASSERT_TRUE(save_snapshot(*one, file));
  ASSERT_TRUE(one->write_object(PhysAddr(5 * kPageSize), std::uint64_t{7}));
  ASSERT_TRUE(restore_snapshot(*one, file));
  EXPECT_EQ(one->read_object<std::uint64_t>(PhysAddr(5 * kPageSize)).value(), 0U);
  EXPECT_THAT(backing->file().data_extents({FileOffset(), 16 * kPageSize}).value(),
              ElementsAre(mapping::FileExtent{FileOffset(5 * kPageSize), kPageSize}));
}

TEST_F(SnapshotTest, HolesOfAFileAreNotStored) {
  const auto backing = SharedMemory::create("backing", kSize);
  const auto region = MappedRegion<>::from_file(*Range::make(PhysAddr(0x5000), kSize),
                                                {backing->file(), FileOffset()});
  ASSERT_TRUE(region);
  ASSERT_TRUE(region->write(RegionOffset(0x4000), std::array{std::byte{0}}).complete());
  const auto saved = save_snapshot(*Ram::from({*region}), file);
  ASSERT_TRUE(saved);
  EXPECT_THAT((*saved)[0].data, ElementsAre(Extent{0x4000, 0x1000})) << "a page of zeros is data";
}

}  // namespace
}  // namespace engram::guest
