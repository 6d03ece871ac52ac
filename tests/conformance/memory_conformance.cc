// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Guest memory: regions, collections of them, and what all of it does at its edges.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "guest/accessor.h"
#include "test_memories.h"

namespace engram::test {
namespace {

using guest::ConstVolatileSlice;
using guest::MappedMemory;
using guest::Permissions;
using guest::RegionCollection;

constexpr std::uint64_t kMax = ~std::uint64_t{0};

MemoryErrc error_of(const MemoryResult<MappedMemory<>>& result) {
  return result ? MemoryErrc::none : result.error().code;
}

TEST(VT45, CollectionsThatAreNone) {
  using Collection = MappedMemory<>;
  EXPECT_EQ(error_of(Collection::from({})), MemoryErrc::no_region);
  EXPECT_EQ(error_of(Collection::from({region(0, 100), region(99, 100)})), MemoryErrc::overlap);
  EXPECT_EQ(error_of(Collection::from({region(0, 100), region(0, 100)})), MemoryErrc::overlap);
  EXPECT_EQ(error_of(Collection::from({region(100, 100), region(0, 100)})), MemoryErrc::unsorted);
  const auto sorted = Collection::from_unsorted({region(100, 100), region(0, 100)});
  for (const auto& memory : {Collection::from({region(0, 100), region(100, 100)}), sorted}) {
    ASSERT_TRUE(memory.has_value());
    EXPECT_EQ(memory->size(), 2U);
    EXPECT_EQ(memory->last_address(), PhysAddr(199));
    ASSERT_NE(memory->find(PhysAddr(0)), nullptr);
    EXPECT_EQ(memory->find(PhysAddr(99))->range(), range_of(0, 100));
    EXPECT_EQ(memory->find(PhysAddr(100))->range(), range_of(100, 100));
    EXPECT_EQ(memory->find(PhysAddr(200)), nullptr);
  }
  EXPECT_EQ(Collection().last_address(), std::nullopt);
}

TEST(VT46, InsertMakesANewCollection) {
  const MappedMemory<> two = anonymous({{0, 0x1000}, {0x100000, 0x1000}});
  MappedMemory<> more = two;
  for (const std::uint64_t start : {0x8000U, 0x4000U, 0xc000U}) {
    more = more.insert(region(start, 0x1000)).value();
  }
  EXPECT_EQ(two.size(), 2U);
  std::vector<std::uint64_t> starts;
  for (const auto& each : more) starts.push_back(each.range().first().value);
  EXPECT_EQ(starts, (std::vector<std::uint64_t>{0, 0x4000, 0x8000, 0xc000, 0x100000}));
  EXPECT_EQ(error_of(more.insert(region(0xc000, 0x1000))), MemoryErrc::overlap);
}

TEST(VT47, RemoveTakesExactlyOneRegion) {
  const MappedMemory<> two = anonymous({{0, 0x1000}, {0x100000, 0x1000}});
  for (const Part wrong : {Part{0, 128}, Part{0x4000, 128}, Part{0x100, 0x1000}}) {
    const auto removed = two.remove(PhysAddr(wrong.start), wrong.size);
    ASSERT_FALSE(removed.has_value());
    EXPECT_EQ(removed.error().code, MemoryErrc::no_region);
  }
  const auto removed = two.remove(PhysAddr(0x100000), 0x1000);
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(removed->region.range(), range_of(0x100000, 0x1000));
  EXPECT_EQ(removed->collection.size(), 1U);
  EXPECT_FALSE(removed->collection.in_range(PhysAddr(0x100000)));
  EXPECT_EQ(two.size(), 2U);
  const auto none = removed->collection.remove(PhysAddr(0), 0x1000);
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(none->collection.empty());
  EXPECT_EQ(none->collection.find(PhysAddr(0)), nullptr);
}

TEST(VT48, IterationIsInOrder) {
  const MappedMemory<> memory = anonymous({{0x800, 0x400}, {0, 0x400}, {0x2000, 0x1000}});
  std::vector<Range> ranges;
  for (const auto& each : memory) ranges.push_back(each.range());
  EXPECT_EQ(ranges, ranges_of({{0, 0x400}, {0x800, 0x400}, {0x2000, 0x1000}}));
}

TEST(VT49, InRange) {
  const MappedMemory<> memory = anonymous({{0, 0x400}, {0x800, 0x400}});
  const std::map<std::uint64_t, bool> expected = {
      {0x200, true}, {0x600, false}, {0xa00, true}, {0xc00, false}};
  for (const auto& [address, there] : expected) {
    EXPECT_EQ(memory.in_range(PhysAddr(address)), there) << address;
    EXPECT_EQ(memory.check_address(PhysAddr(address)).has_value(), there) << address;
  }
}

TEST(VT50, CheckedOffset) {
  const MappedMemory<> memory = anonymous({{0, 0x400}, {0x800, 0x400}, {0xc00, 0x400}});
  const auto at = [&](std::uint64_t base, std::uint64_t distance) -> std::optional<std::uint64_t> {
    const auto address = memory.checked_offset(PhysAddr(base), distance);
    return address ? std::optional(address->value) : std::nullopt;
  };
  EXPECT_EQ(at(0, 0x200), 0x200U);
  EXPECT_EQ(at(0, 0xa00), 0xa00U);
  EXPECT_EQ(at(0x800, 0x7ff), 0xfffU);
  EXPECT_EQ(at(0x800, 0xc00), std::nullopt);
  EXPECT_EQ(at(0x800, kMax), std::nullopt);
  EXPECT_EQ(at(0, 0x400), std::nullopt);
  EXPECT_EQ(at(0, 0x3ff), 0x3ffU);
}

TEST(VT55, NobodyKnowsWhetherAnonymousMemoryIsHugetlbfs) {
  EXPECT_EQ(region(0, 0x1000).attributes().hugetlb, std::nullopt);
}

TEST(VT57, ASliceOfARegion) {
  const auto mapped = region(0, 1024);
  EXPECT_EQ(mapped.range().size(), 1024U);
  const auto slice = mapped.mutable_view(RegionOffset(2), 3);
  ASSERT_TRUE(slice.has_value());
  EXPECT_EQ(slice->mutable_guard().size(), 3U);
  EXPECT_EQ(slice->mutable_guard().data(),
            static_cast<std::byte*>(mapped.native_range().address) + 2);
}

TEST(VT58, AFileOfFiveBytes) {
  const Buffer content = buffer_of({1, 2, 3, 4, 5});
  const auto mapped = guest::MappedRegion<>::from_file(range_of(0, 5), {file_of(content), {}});
  ASSERT_TRUE(mapped.has_value());
  Buffer got(16);
  EXPECT_EQ(mapped->read(RegionOffset(), got), (Transfer{5, MemoryErrc::out_of_bounds, 0, 5}));
  got.resize(5);
  EXPECT_EQ(got, content);
}

MappedMemory<> over_file(const std::vector<Part>& parts) {
  std::uint64_t size = 0;
  std::vector<guest::FileRange> ranges;
  for (const Part& part : parts) {
    ranges.push_back({range_of(part.start, part.size), {file_of(Buffer(part.size)), {}}});
    size += part.size;
  }
  EXPECT_GT(size, 0U);
  return guest::file_memory(ranges).value();
}

TEST(VT59, OffsetsAndHostAddresses) {
  const std::vector<Part> parts = {{0, 0x400}, {0x800, 0x400}};
  for (const MappedMemory<>& memory : {anonymous(parts), over_file(parts)}) {
    EXPECT_EQ(memory.find(PhysAddr(0x600)), nullptr);
    const auto missing = memory.slice(PhysAddr(0x600), 1);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, MemoryErrc::invalid_guest_address);
    EXPECT_EQ(missing.error().address, 0x600U);

    const auto* const second = memory.find(PhysAddr(0x800));
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(memory.find(PhysAddr(0xa00)), second);
    EXPECT_EQ(second->range().offset_of(PhysAddr(0x800)), RegionOffset(0));
    EXPECT_EQ(second->range().offset_of(PhysAddr(0xa00)), RegionOffset(0x200));
    EXPECT_EQ(second->range().offset_of(PhysAddr(0x600)), std::nullopt);
    const auto* const first_byte = memory.slice(PhysAddr(0x800), 1)->guard().data();
    EXPECT_EQ(memory.slice(PhysAddr(0xa00), 1)->guard().data() - first_byte, 0x200);
  }
}

TEST(VT60, CheckOfARange) {
  const MappedMemory<> memory = anonymous({{0, 0x400}, {0x800, 0x400}, {0xc00, 0x400}});
  const std::vector<std::pair<Part, bool>> expected = {
      {{0, 0}, true},          {{0, 0x200}, true},      {{0, 0x400}, true},
      {{0, 0xa00}, false},     {{0x800, 0x7ff}, true},  {{0x800, 0x800}, true},
      {{0x800, 0x801}, false}, {{0x800, 0xc00}, false}, {{0, kMax}, false}};
  for (const auto& [part, covered] : expected) {
    EXPECT_EQ(memory.check(PhysAddr(part.start), part.size), covered)
        << part.start << '+' << part.size;
  }
  // Ours: no bytes are there in a region and one past it, and nowhere else.
  EXPECT_TRUE(memory.check(PhysAddr(0x400), 0));
  EXPECT_FALSE(memory.check(PhysAddr(0x401), 0));
  EXPECT_FALSE(memory.check(PhysAddr(kMax), 0));
}

TEST(VT66, FilesOfRegions) {
  EXPECT_FALSE(region(0, 0x400).attributes().backing.has_value());
  const mapping::File file = file_of(Buffer(0x2000));
  for (const std::uint64_t start : {0U, 0x1000U}) {
    const auto mapped =
        guest::MappedRegion<>::from_file(range_of(0, 0x400), {file, FileOffset(start)});
    ASSERT_TRUE(mapped.has_value());
    ASSERT_TRUE(mapped->attributes().backing.has_value());
    EXPECT_EQ(mapped->attributes().backing->offset, FileOffset(start));
    EXPECT_EQ(mapped->attributes().backing->file.identity()->inode, file.identity()->inode);
  }
}

TEST(VT67, SlicesOfARegion) {
  const auto mapped = region(0, 0x400);
  EXPECT_EQ(mapped.view(RegionOffset(0x100), 0x200)->size(), 0x200U);
  EXPECT_TRUE(mapped.view(RegionOffset(0x200), 0)->empty());
  const auto beyond = mapped.view(RegionOffset(0x300), 0x200);
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code, MemoryErrc::invalid_backend_address);
}

TEST(VT68, SlicesOfAMemory) {
  const MappedMemory<> memory = anonymous({{0, 0x400}, {0x800, 0x400}});
  for (const Part good : {Part{0x100, 0x200}, Part{0x800, 0x400}, Part{0x900, 0}}) {
    const auto slice = memory.slice(PhysAddr(good.start), good.size);
    ASSERT_TRUE(slice.has_value());
    EXPECT_EQ(slice->size(), good.size);
  }
  const auto error = [&](std::uint64_t address, std::uint64_t size) {
    return memory.slice(PhysAddr(address), size).error();
  };
  EXPECT_EQ(error(0, 0x500).code, MemoryErrc::invalid_backend_address);
  EXPECT_EQ(error(0x600, 0x100).code, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(error(0x600, 0x100).address, 0x600U);
  EXPECT_EQ(error(0xc00, 0x100).code, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(error(0xc00, 0x100).address, 0xc00U);
}

TEST(VT69, SlicesAcrossRegions) {
  const MappedMemory<> memory = anonymous({{0, 0x400}, {0x800, 0x400}, {0xc00, 0x400}});
  const auto missing = [](std::vector<std::uint64_t> sizes, std::uint64_t address) {
    return Walk{std::move(sizes), MemoryErrc::invalid_guest_address, address};
  };
  EXPECT_EQ(walk_slices(memory, 0x100, 0x200), (Walk{{0x200}}));
  EXPECT_EQ(walk_slices(memory, 0x800, 0x400), (Walk{{0x400}}));
  EXPECT_EQ(walk_slices(memory, 0x900, 0), Walk{});
  EXPECT_EQ(walk_slices(memory, 0, 0x500), missing({0x400}, 0x400));
  EXPECT_EQ(walk_slices(memory, 0x600, 0x100), missing({}, 0x600));
  EXPECT_EQ(walk_slices(memory, 0x1000, 0x100), missing({}, 0x1000));
  EXPECT_EQ(walk_slices(memory, 0xa00, 0x400), (Walk{{0x200, 0x200}}));

  std::uint64_t sum = 0;
  auto some = memory.slices(PhysAddr(0), 0x500).until_error();
  ASSERT_TRUE(some.has_value());
  for (const ConstVolatileSlice& slice : *some) sum += slice.size();
  EXPECT_EQ(sum, 0x400U);
  const auto none = memory.slices(PhysAddr(0x600), 0x100).until_error();
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().address, 0x600U);
}

TEST(VT70, AMappingMovesToAnotherBase) {
  const MappedMemory<> before = anonymous({{0x1000, 0x1000}, {0x8000, 0x1000}});
  ASSERT_TRUE(before.write_object(PhysAddr(0x1010), std::uint32_t{42}).has_value());
  const auto removed = before.remove(PhysAddr(0x1000), 0x1000);
  ASSERT_TRUE(removed.has_value());
  const auto wrapped =
      guest::MappedRegion<>::from_mapping(PhysAddr(0x2000), removed->region.mapping());
  ASSERT_TRUE(wrapped.has_value());
  for (const auto& moved : {*wrapped, removed->region.at(PhysAddr(0x2000)).value()}) {
    const auto after = removed->collection.insert(moved);
    ASSERT_TRUE(after.has_value());
    EXPECT_FALSE(after->in_range(PhysAddr(0x1010)));
    EXPECT_EQ(after->read_object<std::uint32_t>(PhysAddr(0x2010)), 42U);
  }
}

TEST(XT08, SharedMemoryHasWholePages) {
  const auto refused = guest::shared_memory(ranges_of({{0, 0x100}}), "small");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, MemoryErrc::not_page_aligned);
  EXPECT_TRUE(guest::shared_memory(ranges_of({{0, 0x10000}}), "large").has_value());
}

TEST(XT09, TheStrictCheckStaysInOneRegion) {
  const MappedMemory<> memory = anonymous({{0, 0x10000}, {0x10000, 0x10000}});
  EXPECT_TRUE(memory.check_in_region(PhysAddr(0x1000), 0xf000));
  EXPECT_TRUE(memory.check_in_region(PhysAddr(0x11000), 0xf000));
  EXPECT_FALSE(memory.check_in_region(PhysAddr(0x1000), 0xf001));
  EXPECT_TRUE(memory.check(PhysAddr(0x1000), 0xf001));
  EXPECT_FALSE(memory.check_in_region(PhysAddr(0x1000), 0));
}

TEST(XT10, OverlapIsRefused) {
  const auto memory = guest::shared_memory(ranges_of({{0, 0x20000}, {0x10000, 0x20000}}), "over");
  EXPECT_EQ(error_of(memory), MemoryErrc::overlap);
}

TEST(XT11, AroundAHole) {
  const MappedMemory<> memory = anonymous({{0, 0x20000}, {0x40000, 0x20000}});
  EXPECT_TRUE(memory.in_range(PhysAddr(0x1ffff)));
  EXPECT_FALSE(memory.in_range(PhysAddr(0x20000)));
  EXPECT_FALSE(memory.in_range(PhysAddr(0x3ffff)));
  EXPECT_TRUE(memory.in_range(PhysAddr(0x40000)));
  EXPECT_FALSE(memory.overlaps(range_of(0x20000, 0x20000)));
  EXPECT_TRUE(memory.overlaps(range_of(0x10000, 0x20000)));
  EXPECT_TRUE(memory.overlaps(range_of(0x30000, 0x10001)));
  EXPECT_TRUE(memory.overlaps(range_of(0, kMax)));
  EXPECT_EQ(memory.checked_offset(PhysAddr(0x50000), 0x10000), std::nullopt);
  EXPECT_EQ(memory.checked_offset(PhysAddr(0x50000), 0xffff), PhysAddr(0x5ffff));
  EXPECT_EQ(memory.checked_offset(PhysAddr(0x10000), 0x20000), std::nullopt);
  EXPECT_TRUE(memory.check_in_region(PhysAddr(0x10000), 0x10000 - 1));
  EXPECT_TRUE(memory.check_in_region(PhysAddr(0x10000), 0x10000));
  EXPECT_FALSE(memory.check_in_region(PhysAddr(0x10000), 0x10001));
}

TEST(XT12, WordsSizesAndHostAddresses) {
  const MappedMemory<> memory = anonymous({{0, 0x10000}, {0x10000, 0x10000}});
  for (const std::uint64_t at : {0x500U, 0x10020U}) {
    const std::uint64_t value = 0x1122'3344'5566'7788 + at;
    ASSERT_TRUE(memory.write_object(PhysAddr(at), value).has_value());
    EXPECT_EQ(memory.read_object<std::uint64_t>(PhysAddr(at)), value);
  }
  EXPECT_EQ(memory.total_size(), 0x20000U);
  for (const auto& each : memory) {
    const auto slice = memory.slice(each.range().first(), each.range().size());
    ASSERT_TRUE(slice.has_value());
    EXPECT_EQ(slice->guard().data(), each.native_range().address);
    EXPECT_FALSE(memory.slice(each.range().first(), each.range().size() + 1).has_value());
  }
  EXPECT_FALSE(memory.slice(PhysAddr(0x123456), 1).has_value());
}

TEST(XT13, TheBackingOfEachRegionCanBeMappedByOthers) {
  const auto memory =
      guest::shared_memory(ranges_of({{0, 0x1000}, {0x10000, 0x2000}}), "shared").value();
  ASSERT_TRUE(memory.write_object(PhysAddr(0x700), std::uint64_t{1}).has_value());
  ASSERT_TRUE(memory.write_object(PhysAddr(0x11700), std::uint64_t{2}).has_value());
  std::uint64_t expected = 1;
  for (const auto& each : memory) {
    const auto backing = memory.backing(each.range().first());
    ASSERT_TRUE(backing.has_value());
    const auto other = mapping::Options(each.range().size())
                           .backing(*backing)
                           .share(mapping::Share::shared)
                           .map<mapping::ReadOnly>();
    ASSERT_TRUE(other.has_value());
    const std::uint64_t at = each.range().size() - 0x1000 + 0x700;
    EXPECT_EQ(other->slice().read_object<std::uint64_t>(at), expected++);
  }
  EXPECT_EQ(memory.backing(PhysAddr(0x11700))->offset, FileOffset(0x2700));
  EXPECT_EQ(memory.backing(PhysAddr(0x5000)).error().code, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(anonymous({{0, 0x1000}}).backing(PhysAddr(0)).error().code, MemoryErrc::unsupported);
}

TEST(ST11, TheEndOfTheAddressSpace) {
  const PhysAddr start(kMax - 0xfff);
  EXPECT_FALSE(Range::make(start, 0x1001).has_value());
  EXPECT_FALSE(Range::make(start, 0).has_value());
  const auto top = MappedMemory<>::from({region(0, 0x1000), region(start.value, 0x1000)});
  ASSERT_TRUE(top.has_value());
  EXPECT_EQ(top->last_address(), PhysAddr(kMax));
  ASSERT_TRUE(top->write_object(PhysAddr(kMax), std::uint8_t{7}).has_value());
  EXPECT_EQ(top->read_object<std::uint8_t>(PhysAddr(kMax)), 7U);
  ASSERT_TRUE(top->write_object(PhysAddr(0), std::uint8_t{9}).has_value());

  Buffer two(2, std::byte{0xff});
  const Transfer moved = top->read(PhysAddr(kMax), two);
  EXPECT_EQ(moved.count, 1U);
  EXPECT_EQ(moved.stop, MemoryErrc::range_overflow);
  EXPECT_EQ(two, buffer_of({7, 0xff}));  // not the 9 at address 0
  EXPECT_EQ(top->write(PhysAddr(kMax), buffer_of({1, 2})).count, 1U);
  EXPECT_EQ(top->read_object<std::uint8_t>(PhysAddr(0)), 9U);
  EXPECT_TRUE(top->check(start, 0x1000));
  EXPECT_FALSE(top->check(start, 0x1001));
  EXPECT_FALSE(top->check(PhysAddr(kMax), kMax));
  EXPECT_EQ(walk_slices(*top, start.value, 0x1000), (Walk{{0x1000}}));
  EXPECT_EQ(walk_slices(*top, start.value + 0x800, 0x1000),
            (Walk{{0x800}, MemoryErrc::range_overflow, kMax}));
}

TEST(ST13, APinnedSliceOutlivesItsMap) {
  guest::MemoryAtomic<MappedMemory<>> current(anonymous({{0, 0x1000}}));
  ASSERT_TRUE(current.snapshot()->write_object(PhysAddr(0x10), std::uint64_t{42}).has_value());
  const auto pinned = current.snapshot()->pinned_slice(PhysAddr(0x10), 8);
  ASSERT_TRUE(pinned.has_value());
  guest::CachedRange<MappedMemory<>> ring(current, PhysAddr(0x10), 8);
  guest::SnapshotAccessor<MappedMemory<>> accessor(current);
  EXPECT_EQ(ring.slice()->read_object<std::uint64_t>(0), 42U);
  EXPECT_EQ(accessor->read_object<std::uint64_t>(PhysAddr(0x10)), 42U);

  current.lock().replace(anonymous({{0x8000, 0x1000}}));
  EXPECT_EQ((*pinned)->read_object<std::uint64_t>(0), 42U);
  ASSERT_FALSE(ring.slice().has_value());
  EXPECT_EQ(ring.slice().error().code, MemoryErrc::invalid_guest_address);
  EXPECT_FALSE(accessor->read_object<std::uint64_t>(PhysAddr(0x10)).has_value());
  EXPECT_EQ(accessor->read_object<std::uint64_t>(PhysAddr(0x8010)), 0U);

  current.lock().replace(pinned->memory);
  EXPECT_EQ(ring.slice()->read_object<std::uint64_t>(0), 42U);
}

/// The two ends of a connection that keeps messages apart: one read gives one message.
class Connection {
 public:
  Connection() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_), 0); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  void send(const Buffer& bytes) const {
    EXPECT_EQ(::send(ends_[0], bytes.data(), bytes.size(), 0), std::ssize(bytes));
  }
  [[nodiscard]] int reader() const { return ends_[1]; }

 private:
  int ends_[2] = {-1, -1};
};

TEST(ST19, AShortReadLeavesNoHole) {
  const SplitContainer container(Buffer(2 * kPageSize));
  const auto& memory = container.memory();
  const PhysAddr start = SplitContainer::kBase + 0xff0;
  const Connection connection;
  connection.send(buffer_of({1, 2, 3, 4}));
  connection.send(buffer_of({5, 6, 7, 8}));
  mapping::FdReader stream(connection.reader());

  EXPECT_EQ(memory.read_from(start, stream, 0x20), (Transfer{4}));
  EXPECT_FALSE(container.dirty_at(SplitContainer::kBase + kPageSize));
  EXPECT_EQ(memory.read_object<std::uint32_t>(SplitContainer::kBase + kPageSize), 0U);
  EXPECT_EQ(memory.read_from(start + 4, stream, 0x1c), (Transfer{4}));
  Buffer got(8);
  ASSERT_TRUE(memory.read_exact(start, got).has_value());
  EXPECT_EQ(got, buffer_of({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_FALSE(container.dirty_at(SplitContainer::kBase + kPageSize));

  // The exact form goes on until it has all.
  connection.send(Buffer(14, std::byte{9}));
  connection.send(Buffer(2, std::byte{9}));
  connection.send(Buffer(4, std::byte{9}));
  ASSERT_TRUE(memory.read_exact_from(start, stream, 0x14).has_value());
  EXPECT_EQ(memory.read_object<std::uint32_t>(SplitContainer::kBase + kPageSize), 0x09090909U);
}

}  // namespace
}  // namespace engram::test
