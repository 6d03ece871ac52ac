// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Mapped, streamed, decoded and mixed regions.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/test_file.h"
#include "guest/any_region.h"
#include "guest/ram.h"

namespace engram::guest {
namespace {

Range range_of(std::uint64_t first, std::uint64_t size) {
  return Range::make(PhysAddr(first), size).value();
}

std::vector<std::byte> numbered(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 3 + i / 256);
  return bytes;
}

/// A file that can be cut, open for reading and writing.
struct OpenFile {
  explicit OpenFile(Bytes content)
      : temp(content),
        file(mapping::File::open(temp.path(), mapping::File::Access::read_write).value()) {}
  test::TempFile temp;
  mapping::File file;
};

TEST(Range, HasNeitherNoBytesNorAWrap) {
  EXPECT_EQ(Range::make(PhysAddr(5), 0).error().code, MemoryErrc::invalid_size);
  EXPECT_EQ(Range::make(PhysAddr(~0ULL), 2).error().code, MemoryErrc::range_overflow);
  const Range top = range_of(~0ULL - 15, 16);
  EXPECT_EQ(top.last(), PhysAddr(~0ULL));
  EXPECT_TRUE(top.contains(PhysAddr(~0ULL)) && !top.contains(PhysAddr(0)));
  EXPECT_TRUE(range_of(10, 10).overlaps(range_of(19, 1)));
  EXPECT_FALSE(range_of(10, 10).overlaps(range_of(20, 1)));
  EXPECT_FALSE(range_of(10, 10).contains(range_of(15, 6)));
  EXPECT_EQ(range_of(10, 10).checked_offset(RegionOffset(8), 2), std::nullopt);
  EXPECT_EQ(range_of(10, 10).checked_offset(RegionOffset(8), ~0ULL), std::nullopt);
  EXPECT_EQ(range_of(10, 10).checked_offset(RegionOffset(8), 1), RegionOffset(9));
}

/// A file of two and a half pages under a region of four.
class ShortFile : public testing::TestWithParam<FaultPolicy> {
 protected:
  static constexpr std::uint64_t kThere = 2 * kPageSize + kPageSize / 2;
  static constexpr std::uint64_t kSize = 4 * kPageSize;

  std::vector<std::byte> content_ = numbered(kThere);
  OpenFile open_{content_};
};

TEST_P(ShortFile, WhatTheFileDoesNotHaveIsNotThere) {
  RegionOptions options;
  options.faults = GetParam();
  const auto region =
      MappedRegion<>::from_file(range_of(0, kSize), {open_.file, FileOffset()}, options);
  ASSERT_TRUE(region.has_value());
  EXPECT_EQ(region->available(), kThere);
  std::vector<std::byte> bytes(kSize);
  // The zeros behind the end of the file in its last page are not data.
  EXPECT_EQ(region->read(RegionOffset(), bytes),
            (Transfer{kThere, MemoryErrc::source_truncated, 0, kThere}));
  EXPECT_TRUE(std::equal(content_.begin(), content_.end(), bytes.begin()));
  EXPECT_EQ(region->read(RegionOffset(kThere), bytes),
            (Transfer{0, MemoryErrc::source_truncated, 0, kThere}));
  EXPECT_EQ(region->write(RegionOffset(kThere - 1), bytes),
            (Transfer{1, MemoryErrc::source_truncated, 0, kThere}));
  EXPECT_EQ(region->view(RegionOffset(kPageSize), kSize - kPageSize).error().address, kThere);

  const auto memory = MappedMemory<>::from({*region}).value();
  std::vector<std::uint64_t> sizes;
  MemoryErrc end = MemoryErrc::none;
  for (const auto& slice : memory.slices(PhysAddr(0x800), 0x3000)) {
    if (slice) sizes.push_back(slice->size());
    if (!slice) end = slice.error().code;
  }
  EXPECT_EQ(sizes, std::vector<std::uint64_t>{kThere - 0x800});
  EXPECT_EQ(end, MemoryErrc::source_truncated);
}

/// A file that is cut when it is mapped already: nothing for a policy that trusts it.
class CutFile : public ShortFile {};

TEST_P(CutFile, ACutIsAShortCount) {
  RegionOptions options;
  options.faults = GetParam();
  const auto region =
      MappedRegion<>::from_file(range_of(0, kSize), {open_.file, FileOffset()}, options);
  ASSERT_TRUE(region.has_value());
  ASSERT_TRUE(open_.temp.cut(kPageSize));
  std::vector<std::byte> bytes(2 * kPageSize);
  EXPECT_EQ(region->read(RegionOffset(), bytes),
            (Transfer{kPageSize, MemoryErrc::source_truncated, 0, kPageSize}));
  EXPECT_EQ(region->write(RegionOffset(), bytes).count, kPageSize);
}

INSTANTIATE_TEST_SUITE_P(Policies, ShortFile,
                         testing::Values(FaultPolicy::guarded, FaultPolicy::trusted,
                                         FaultPolicy::syscall));
INSTANTIATE_TEST_SUITE_P(Policies, CutFile,
                         testing::Values(FaultPolicy::guarded, FaultPolicy::syscall));

TEST(MappedRegion, PoliciesFollowFromTheBacking) {
  const OpenFile open(numbered(kPageSize));
  const Range range = range_of(0, kPageSize);
  EXPECT_EQ(MappedRegion<>::anonymous(range)->attributes().faults, FaultPolicy::trusted);
  EXPECT_EQ(MappedRegion<>::from_file(range, {open.file, {}})->attributes().faults,
            FaultPolicy::guarded);
  const auto sealed = shared_memory({range}, "sealed");
  ASSERT_TRUE(sealed.has_value());
  EXPECT_EQ(sealed->begin()->attributes().faults, FaultPolicy::trusted);
  const auto anonymous = MappedRegion<>::anonymous(range, {.faults = FaultPolicy::syscall});
  std::vector<std::byte> bytes = numbered(100), got(100);
  EXPECT_TRUE(anonymous->write(RegionOffset(5), bytes).complete());
  EXPECT_TRUE(anonymous->read(RegionOffset(5), got).complete());
  EXPECT_EQ(got, bytes);
}

TEST(MappedRegion, DiscardGivesZerosAndMarks) {
  const auto ram = anonymous_memory<BitmapSlice>({range_of(0, 0x4000), range_of(0x4000, 0x4000)});
  ASSERT_TRUE(ram.has_value());
  ASSERT_TRUE(ram->fill(PhysAddr(0), 0x8000, std::byte{1}).complete());
  for (const auto& region : *ram) region.dirty().bitmap()->reset();
  ASSERT_TRUE(ram->discard(PhysAddr(0x3000), 0x2000).has_value());
  EXPECT_EQ(ram->read_object<std::uint64_t>(PhysAddr(0x3000)), 0U);
  EXPECT_EQ(ram->read_object<std::uint64_t>(PhysAddr(0x4ff8)), 0U);
  EXPECT_EQ(ram->read_object<std::uint8_t>(PhysAddr(0x2fff)), 1U);
  EXPECT_EQ(ram->read_object<std::uint8_t>(PhysAddr(0x5000)), 1U);
  EXPECT_TRUE(ram->begin()->dirty().dirty_at(0x3000));
  EXPECT_FALSE(ram->begin()->dirty().dirty_at(0x2000));
  // Nothing is discarded of a range that is not all there.
  EXPECT_EQ(ram->discard(PhysAddr(0x6000), 0x4000).error().code, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(ram->read_object<std::uint8_t>(PhysAddr(0x6000)), 1U);
}

TEST(MappedRegion, AdoptsWhatSomebodyElseHasMapped) {
  auto host = mapping::Options(kPageSize).map<mapping::ReadWrite>();
  ASSERT_TRUE(host.has_value());
  const auto foreign =
      mapping::UnownedRange::adopt(host->native_range().address, host->size()).value();
  {
    const auto region = MappedRegion<>::adopt_unowned(PhysAddr(0x1000), foreign);
    ASSERT_TRUE(region.has_value());
    EXPECT_EQ(region->mapping(), nullptr);
    EXPECT_TRUE(region->write(RegionOffset(8), numbered(8)).complete());
    EXPECT_EQ(region->discard(RegionOffset(), kPageSize).error().code, MemoryErrc::unsupported);
  }
  EXPECT_TRUE(host->slice().subslice(8, 8)->equals(numbered(8)).value());
}

/// Counts how often each page is made; page 7 is broken.
class CountingSource : public PageSource {
 public:
  [[nodiscard]] std::uint64_t page_size() const override { return 64; }
  [[nodiscard]] Transfer read_page(std::uint64_t index, MutableBytes to) const override {
    ++made;
    std::fill(to.begin(), to.end(), static_cast<std::byte>(index));
    if (index == 7) return {10, MemoryErrc::source_truncated, 0, 0};
    return {to.size()};
  }
  mutable int made = 0;
};

TEST(DecodedRegion, KeepsThePagesThatWereUsedLast) {
  const auto source = std::make_shared<CountingSource>();
  const auto cache = std::make_shared<PageCache>(source, 2);
  const auto region = DecodedRegion::make(range_of(0x1000, 1024), cache, 1);
  std::vector<std::byte> byte(1);
  const auto read = [&](std::uint64_t page) {
    EXPECT_TRUE(region.read(RegionOffset(page * 64 + 5), byte).complete());
    EXPECT_EQ(byte[0], static_cast<std::byte>(page + 1));
    return source->made;
  };
  EXPECT_EQ(read(0), 1);
  EXPECT_EQ(read(1), 2);
  EXPECT_EQ(read(0), 2);
  EXPECT_EQ(read(2), 3);  // page 1 has not been used for the longest time
  EXPECT_EQ(read(0), 3);
  EXPECT_EQ(read(1), 4);
  EXPECT_EQ(cache->misses(), 4U);
}

TEST(DecodedRegion, ABrokenPageEndsARead) {
  const auto source = std::make_shared<CountingSource>();
  const auto region =
      DecodedRegion::make(range_of(0, 1024), std::make_shared<PageCache>(source, 2), 0);
  std::vector<std::byte> bytes(256);
  const Transfer broken{6 * 64 + 64 + 10 - 320, MemoryErrc::source_truncated, 0, 7 * 64 + 10};
  EXPECT_EQ(region.read(RegionOffset(320), bytes), broken);
  EXPECT_EQ(region.read(RegionOffset(320), bytes), broken);
  EXPECT_EQ(region.read(RegionOffset(1020), bytes),
            (Transfer{4, MemoryErrc::out_of_bounds, 0, 1024}));
}

TEST(PageCache, KeepsNothingForAReaderWhoDoesNotComeBack) {
  const auto source = std::make_shared<CountingSource>();
  const PageCache cache(source, 4);
  std::vector<std::byte> bytes(3 * 64);
  EXPECT_EQ(cache.read_once(64 + 10, bytes), Transfer{bytes.size()});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(bytes[i], static_cast<std::byte>((64 + 10 + i) / 64)) << i;
  }
  EXPECT_EQ(source->made, 4);
  EXPECT_EQ(cache.misses(), 4U);
  // But the pages of which it has read a part, and will read the rest.
  EXPECT_TRUE(cache.read_once(64, MutableBytes(bytes).first(10)).complete());
  EXPECT_TRUE(cache.read_once(4 * 64 + 10, MutableBytes(bytes).first(54)).complete());
  EXPECT_EQ(source->made, 4);
  EXPECT_TRUE(cache.read_once(128, MutableBytes(bytes).first(64)).complete());
  EXPECT_EQ(source->made, 5);
}

TEST(PageCache, ABrokenPageEndsAReadOfManyWhereItBreaks) {
  const PageCache cache(std::make_shared<CountingSource>(), 4);
  std::vector<std::byte> bytes(10 * 64);
  const auto whole = cache.read_once(3 * 64, bytes);
  EXPECT_EQ(whole, (Transfer{4 * 64 + 10, MemoryErrc::source_truncated, 0, 7 * 64 + 10}));
  EXPECT_EQ(cache.read(3 * 64, bytes), whole);
}

TEST(MappedRegion, WhatIsWrittenPrivatelyIsNotLookedForInTheFile) {
  const OpenFile backing(numbered(kPageSize));
  auto mapping = mapping::Options(kPageSize).backing(backing.file).map<mapping::ReadWrite>();
  ASSERT_TRUE(mapping.has_value());
  RegionOptions options;
  options.faults = FaultPolicy::syscall;
  const auto region = MappedRegion<>::from_mapping(
      PhysAddr(0), std::make_shared<MappedRegion<>::Mapping>(std::move(*mapping)), options);
  ASSERT_TRUE(region.has_value());
  const std::vector<std::byte> written(8, std::byte{0xEE});
  ASSERT_TRUE(region->write(RegionOffset(16), written).complete());
  std::vector<std::byte> read(8);
  ASSERT_TRUE(region->read(RegionOffset(16), read).complete());
  EXPECT_EQ(read, written);
  const auto memory = RegionCollection<MappedRegion<>>::from({*region});
  EXPECT_EQ(memory->backing(PhysAddr(0)).error().code, MemoryErrc::unsupported);
}

TEST(RegionCollection, OneThatWasMovedFromHasNoRegions) {
  auto memory = anonymous_memory({range_of(0, 64)}).value();
  auto other = std::move(memory);
  other = MappedMemory<>();  // the regions are gone
  std::byte byte{};
  EXPECT_TRUE(memory.empty());
  EXPECT_EQ(memory.read(PhysAddr(0), {&byte, 1}).stop, MemoryErrc::invalid_guest_address);
}

TEST(AnyRegion, RefusesToWriteWhatCannotBeWritten) {
  const auto source = std::make_shared<CountingSource>();
  const auto memory = RegionCollection<AnyRegion>::from(
      {MappedRegion<>::anonymous(range_of(0, 64)).value(),
       DecodedRegion::make(range_of(64, 64), std::make_shared<PageCache>(source), 3)});
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->write(PhysAddr(60), numbered(8)),
            (Transfer{4, MemoryErrc::access_refused, 0, 64}));
  EXPECT_EQ(memory->read_object<std::uint16_t>(PhysAddr(63)), 0x0309);
  EXPECT_EQ(memory->mutable_slice(PhysAddr(64), 4).error().code, MemoryErrc::access_refused);
  EXPECT_TRUE(memory->check(PhysAddr(0), 64, Permissions::read_write));
  EXPECT_FALSE(memory->check(PhysAddr(60), 8, Permissions::write));
  EXPECT_TRUE(memory->check(PhysAddr(60), 8, Permissions::read));
  EXPECT_EQ(memory->discard(PhysAddr(64), 4).error().code, MemoryErrc::unsupported);
}

}  // namespace
}  // namespace engram::guest
