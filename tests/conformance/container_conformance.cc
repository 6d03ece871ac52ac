// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// What every container of bytes does alike: one suite a scenario, each over all containers. Suites
// with the suffix R only read, and run over those that cannot be written, too.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "test_containers.h"

namespace engram::test {

/// Its value ends one region of VT-53, its rest lies in the next.
struct [[gnu::packed]] Straddling {
  std::uint16_t value;
  std::array<std::uint8_t, 8> rest;
};
/// No bytes, as far as C++ knows such a thing.
using NoBytes = std::array<std::byte, 0>;

}  // namespace engram::test

template <>
inline constexpr bool engram::mapping::enable_pod<engram::test::Straddling> = true;

namespace engram::test {
namespace {

constexpr PhysAddr kFar{~std::uint64_t{0}};

#define ENGRAM_CONTAINER_SUITE(suite, list) \
  template <class C>                        \
  class suite : public testing::Test {};    \
  TYPED_TEST_SUITE(suite, list)

ENGRAM_CONTAINER_SUITE(VT07, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT25, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT26, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT26R, AllContainers);
ENGRAM_CONTAINER_SUITE(VT27, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT27R, AllContainers);
ENGRAM_CONTAINER_SUITE(VT28, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT28R, AllContainers);
ENGRAM_CONTAINER_SUITE(VT33, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT33R, AllContainers);
ENGRAM_CONTAINER_SUITE(VT36, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT52, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT54, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT54R, AllContainers);
ENGRAM_CONTAINER_SUITE(VT61, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT63, WritableContainers);
ENGRAM_CONTAINER_SUITE(VT63R, AllContainers);
ENGRAM_CONTAINER_SUITE(VT64, WritableContainers);

template <class C>
Buffer read_all(const C& container, std::uint64_t offset, std::size_t size) {
  Buffer bytes(size);
  EXPECT_TRUE(container.memory().read_exact(C::kBase + offset, bytes).has_value());
  return bytes;
}

/// An error that says that nothing is at `address`.
template <class C, class T>
void expect_beyond(const MemoryResult<T>& result, PhysAddr address) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, C::kBeyond) << to_string(result.error());
  EXPECT_EQ(result.error().address, address.value);
}

TYPED_TEST(VT07, WritesAndReadsAWordInTenBytes) {
  using C = TypeParam;
  const C container(Buffer(10));
  const std::uint64_t value = 0x0123'4567'89ab'cdef;
  ASSERT_TRUE(container.memory().write_object(C::kBase, value).has_value());
  EXPECT_EQ(container.memory().template read_object<std::uint64_t>(C::kBase), value);
  expect_beyond<C>(container.memory().write_object(C::kBase + 10, value), C::kBase + 10);
  expect_beyond<C>(container.memory().template read_object<std::uint64_t>(C::kBase + 10),
                   C::kBase + 10);
}

TYPED_TEST(VT25, SixBytesIntoFive) {
  using C = TypeParam;
  const C container(Buffer(5));
  const Transfer moved = container.memory().write(C::kBase, buffer_of({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(moved.count, 5U);
  EXPECT_EQ(moved.stop, C::kBeyond);
  EXPECT_EQ(moved.address, C::kBase.value + 5);
  EXPECT_EQ(read_all(container, 0, 5), buffer_of({1, 2, 3, 4, 5}));
}

TYPED_TEST(VT26, WritesBehindTheEndAndOfNothing) {
  using C = TypeParam;
  const C container(Buffer(5));
  const Transfer moved = container.memory().write(C::kBase + 5, buffer_of({1, 2, 3}));
  EXPECT_EQ(moved, (Transfer{0, C::kBeyond, 0, C::kBase.value + 5}));
  expect_beyond<C>(container.memory().write_exact(C::kBase + 5, buffer_of({1, 2, 3})),
                   C::kBase + 5);
  EXPECT_TRUE(container.memory().write(C::kBase + 2, buffer_of({7, 8, 9})).complete());
  EXPECT_EQ(read_all(container, 2, 3), buffer_of({7, 8, 9}));
  for (const PhysAddr at : {C::kBase + 100, C::kBase + 4, kFar}) {
    EXPECT_EQ(container.memory().write(at, {}), Transfer{});
  }
  const C empty{Buffer()};
  EXPECT_EQ(empty.memory().write(C::kBase + 1, {}), Transfer{});
}

TYPED_TEST(VT26R, ReadsBehindTheEndAndOfNothing) {
  using C = TypeParam;
  const C container(buffer_of({1, 2, 3, 4, 5}));
  Buffer bytes(3);
  EXPECT_EQ(container.memory().read(C::kBase + 5, bytes),
            (Transfer{0, C::kBeyond, 0, C::kBase.value + 5}));
  EXPECT_EQ(read_all(container, 2, 3), buffer_of({3, 4, 5}));
  for (const PhysAddr at : {C::kBase + 100, C::kBase + 4, kFar}) {
    EXPECT_EQ(container.memory().read(at, {}), Transfer{});
  }
  const C empty{Buffer()};
  EXPECT_EQ(empty.memory().read(C::kBase + 1, {}), Transfer{});
}

TYPED_TEST(VT27, ObjectsAcrossTheEnd) {
  using C = TypeParam;
  const C container(Buffer(5));
  const std::uint16_t value = 0x1234;
  const auto partial = container.memory().write_object(C::kBase + 4, value);
  ASSERT_FALSE(partial.has_value());
  EXPECT_EQ(partial.error().code, MemoryErrc::partial);
  EXPECT_EQ(partial.error().cause, C::kBeyond);
  EXPECT_EQ(partial.error().expected, 2U);
  EXPECT_EQ(partial.error().completed, 1U);
  EXPECT_EQ(read_all(container, 4, 1), buffer_of({0x34}));
  ASSERT_TRUE(container.memory().write_object(C::kBase + 2, value).has_value());
  EXPECT_EQ(container.memory().template read_object<std::uint16_t>(C::kBase + 2), value);
  EXPECT_FALSE(container.memory().write_object(kFar, value).has_value());
}

TYPED_TEST(VT27R, ObjectsAcrossTheEnd) {
  using C = TypeParam;
  const C container(buffer_of({1, 2, 3, 4, 5}));
  const auto partial = container.memory().template read_object<std::uint16_t>(C::kBase + 4);
  ASSERT_FALSE(partial.has_value());
  EXPECT_EQ(partial.error(),
            (MemoryError{MemoryErrc::partial, C::kBeyond, 0, C::kBase.value + 5, 2, 1}));
  EXPECT_EQ(container.memory().template read_object<std::uint16_t>(C::kBase + 2), 0x0403);
  const auto far = container.memory().template read_object<std::uint16_t>(kFar);
  ASSERT_FALSE(far.has_value());
  EXPECT_EQ(far.error().address, kFar.value);
}

/// A descriptor of a file, which stays open as long as this.
class Device {
 public:
  explicit Device(const char* path) : fd_(::open(path, O_RDWR | O_CLOEXEC)) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { ::close(fd_); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

TYPED_TEST(VT28, ExactReadsFromDescriptors) {
  using C = TypeParam;
  const C container(Buffer(4, std::byte{0xff}));
  const Device zeros("/dev/zero");
  mapping::FdReader zero_reader(zeros.fd());
  ASSERT_TRUE(container.memory().read_exact_from(C::kBase, zero_reader, 4).has_value());
  EXPECT_EQ(read_all(container, 0, 4), Buffer(4));

  const mapping::File nothing = file_of({});
  mapping::FdReader nothing_reader(nothing.fd());
  const auto failed = container.memory().read_exact_from(C::kBase, nothing_reader, 4);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, MemoryErrc::unexpected_eof);
}

TYPED_TEST(VT28R, WritesAllToASink) {
  using C = TypeParam;
  const Buffer content = pattern_bytes(3 * kPageSize + 5);
  const C container(content);
  Buffer sink;
  mapping::VectorWriter writer(sink);
  ASSERT_TRUE(container.memory().write_all_to(C::kBase, writer, content.size()).has_value());
  EXPECT_EQ(sink, content);
  Buffer small(4, std::byte{0xff});
  mapping::SpanWriter small_writer(small);
  const auto full = container.memory().write_all_to(C::kBase, small_writer, 5);
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().cause, MemoryErrc::write_zero);
  EXPECT_EQ(full.error().completed, 4U);
  EXPECT_TRUE(std::equal(small.begin(), small.end(), content.begin()));
}

template <class T, class C>
void check_atomics() {
  const C container(Buffer(16));
  const auto& memory = container.memory();
  EXPECT_EQ(memory.template load<T>(C::kBase), T{0});
  ASSERT_TRUE(memory.store(C::kBase, T{100}).has_value());
  EXPECT_EQ(memory.template load<T>(C::kBase), T{100});
  EXPECT_FALSE(memory.template load<T>(C::kBase + 16).has_value());
  EXPECT_FALSE(memory.store(C::kBase + 16, T{1}).has_value());
}

TYPED_TEST(VT33, AtomicsOfEverySize) {
  using C = TypeParam;
  if constexpr (C::kHostMemory) {
    check_atomics<std::uint8_t, C>();
    check_atomics<std::int16_t, C>();
    check_atomics<std::uint32_t, C>();
    check_atomics<std::int64_t, C>();
  } else {
    const C container(Buffer(16));
    const PhysAddr last = C::kBase + 8;  // in a region without host memory, in all of these
    const auto stored = container.memory().store(last, std::uint32_t{1});
    ASSERT_FALSE(stored.has_value());
    EXPECT_EQ(stored.error().code, MemoryErrc::host_address_unavailable);
    EXPECT_EQ(stored.error().address, last.value);
  }
}

TYPED_TEST(VT33R, LoadsAndMisalignment) {
  using C = TypeParam;
  const C container(buffer_of({1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0}));
  const auto last = container.memory().template load<std::uint32_t>(C::kBase + 12);
  if constexpr (C::kHostMemory) {
    EXPECT_EQ(last, 4U);
    const auto odd = container.memory().template load<std::uint32_t>(C::kBase + 9);
    ASSERT_FALSE(odd.has_value());
    EXPECT_EQ(odd.error(),
              (MemoryError{MemoryErrc::misaligned, MemoryErrc::none, 0, C::kBase.value + 9, 4, 0}));
  } else {
    ASSERT_FALSE(last.has_value());
    EXPECT_EQ(last.error().code, MemoryErrc::host_address_unavailable);
  }
}

TYPED_TEST(VT36, EveryWriteMarksItsPageAndNoOther) {
  using C = TypeParam;
  constexpr std::uint64_t kPages = 8;
  const C container(Buffer(kPages * kPageSize));
  const auto& memory = container.memory();
  std::uint64_t pages_done = 0;
  const auto expect_marked = [&](std::uint64_t page, auto&& write) {
    const PhysAddr at = C::kBase + page * kPageSize;
    EXPECT_FALSE(container.dirty_at(at));
    write(at + 16);
    ++pages_done;
    for (std::uint64_t i = 0; i < kPages; ++i) {
      EXPECT_EQ(container.dirty_at(C::kBase + i * kPageSize), i < pages_done) << page << ' ' << i;
    }
  };
  const Buffer bytes = buffer_of({1, 2, 3});
  expect_marked(0, [&](PhysAddr at) { EXPECT_EQ(memory.write(at, bytes).count, 3U); });
  expect_marked(1, [&](PhysAddr at) { EXPECT_TRUE(memory.write_exact(at, bytes).has_value()); });
  expect_marked(
      2, [&](PhysAddr at) { EXPECT_TRUE(memory.write_object(at, std::uint64_t{1}).has_value()); });
  expect_marked(3, [&](PhysAddr at) {
    mapping::SpanReader stream(bytes);
    EXPECT_TRUE(memory.read_exact_from(at, stream, 3).has_value());
  });
  if constexpr (C::kHostMemory) {
    expect_marked(
        4, [&](PhysAddr at) { EXPECT_TRUE(memory.store(at, std::uint32_t{1}).has_value()); });
  }
  (void)read_all(container, 0, kPages * kPageSize);
  EXPECT_FALSE(container.dirty_at(C::kBase + 6 * kPageSize));
}

TYPED_TEST(VT52, StreamAcrossTwoRegions) {
  using C = TypeParam;
  const C container(Buffer(128));  // SplitContainer and VariantContainer: two regions of 64
  const Buffer source = pattern_bytes(0x20);
  mapping::SpanReader stream(source);
  EXPECT_EQ(container.memory().read_from(C::kBase + 0x30, stream, 0x20).count, 0x20U);
  EXPECT_EQ(read_all(container, 0x30, 0x20), source);
}

TEST(VT53, AValueAtTheEndOfARegionDoesNotTear) {
  const SplitContainer container(Buffer(2 * kPageSize));  // two regions of one page
  const PhysAddr at = SplitContainer::kBase + kPageSize - sizeof(std::uint16_t);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    Straddling object{};
    while (!stop.load(std::memory_order_relaxed)) {
      object.value = static_cast<std::uint16_t>(~object.value);
      for (auto& byte : object.rest) byte = static_cast<std::uint8_t>(~byte);
      if (!container.memory().write_object(at, object)) break;
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  std::uint64_t mixed = 0, ones = 0, zeros = 0;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 1000; ++i) {
      const auto object = container.memory().read_object<Straddling>(at);
      const std::uint16_t value = object ? object->value : std::uint16_t{1};
      if (value == 0) {
        ++zeros;
      } else if (value == 0xffff) {
        ++ones;
      } else {
        ++mixed;
      }
    }
  }
  stop = true;
  writer.join();
  EXPECT_EQ(mixed, 0U);
  EXPECT_GT(ones, 0U);  // else nothing was tested
  EXPECT_GT(zeros, 0U);
}

TYPED_TEST(VT54, WritesOfNoBytes) {
  using C = TypeParam;
  const C container(Buffer(16));
  const auto& memory = container.memory();
  EXPECT_EQ(memory.write(C::kBase, {}), Transfer{});
  EXPECT_TRUE(memory.write_exact(C::kBase, {}).has_value());
  Buffer nothing;
  mapping::SpanReader stream(nothing);
  EXPECT_EQ(memory.read_from(C::kBase, stream, 0).count, 0U);
  EXPECT_TRUE(memory.read_exact_from(C::kBase, stream, 0).has_value());
  EXPECT_FALSE(container.dirty_at(C::kBase));
}

TYPED_TEST(VT54R, ReadsOfNoBytes) {
  using C = TypeParam;
  const C container(Buffer(16));
  const auto& memory = container.memory();
  EXPECT_EQ(memory.read(C::kBase, {}), Transfer{});
  EXPECT_TRUE(memory.read_exact(C::kBase, {}).has_value());
  for (const auto& slice : memory.slices(C::kBase, 0)) {
    FAIL() << "a slice of no bytes: " << slice.has_value();
  }
  Buffer sink;
  mapping::VectorWriter stream(sink);
  EXPECT_EQ(memory.write_to(C::kBase, stream, 0).count, 0U);
  EXPECT_TRUE(memory.write_all_to(C::kBase, stream, 0).has_value());
  EXPECT_TRUE(sink.empty());
}

TYPED_TEST(VT61, WhatIsWrittenIsInTheSlice) {
  using C = TypeParam;
  const C container(Buffer(1024));
  const Buffer bytes = buffer_of({1, 2, 3, 4, 5});
  ASSERT_EQ(container.memory().write(C::kBase, bytes).count, 5U);
  if constexpr (C::kHostMemory) {
    // All of it for one region; the first of two for a collection that is split.
    const auto slice = container.memory().slice(C::kBase, 512);
    ASSERT_TRUE(slice.has_value());
    Buffer got(5);
    ASSERT_TRUE(slice->read_exact(0, got).has_value());
    EXPECT_EQ(got, bytes);
  } else {
    const auto slice = container.memory().slice(C::kBase + 600, 100);
    ASSERT_FALSE(slice.has_value());
    EXPECT_EQ(slice.error().code, MemoryErrc::host_address_unavailable);
    EXPECT_EQ(slice.error().address, C::kBase.value + 600);
    EXPECT_EQ(read_all(container, 0, 5), bytes);
  }
}

TEST(VT62, WordsAtTheEndOfTwoRegions) {
  const SplitContainer container(Buffer(2 * kPageSize));
  const PhysAddr base = SplitContainer::kBase;
  const auto& memory = container.memory();
  const std::uint64_t value = 0x0102'0304'0506'0708;

  const auto outside = memory.write_object(base + 0x2001, value);
  ASSERT_FALSE(outside.has_value());
  EXPECT_EQ(outside.error().code, MemoryErrc::invalid_guest_address);
  EXPECT_EQ(outside.error().address, base.value + 0x2001);

  const auto across = memory.write_object(base + 0x1ffc, value);
  ASSERT_FALSE(across.has_value());
  EXPECT_EQ(across.error(), (MemoryError{MemoryErrc::partial, MemoryErrc::invalid_guest_address, 0,
                                         base.value + 0x2000, 8, 4}));
  for (const std::uint64_t offset : {0x500U, 0x1020U, 0xffcU}) {
    ASSERT_TRUE(memory.write_object(base + offset, value).has_value());
    EXPECT_EQ(memory.read_object<std::uint64_t>(base + offset), value);
  }
}

TYPED_TEST(VT63, WritesUpToTheEnd) {
  using C = TypeParam;
  const C container(Buffer(0x400));
  const Buffer bytes = buffer_of({1, 2, 3, 4, 5});
  EXPECT_EQ(container.memory().write(C::kBase, bytes).count, 5U);
  EXPECT_EQ(container.memory().write(C::kBase + 0x3ff, bytes).count, 1U);
  EXPECT_EQ(read_all(container, 0, 5), bytes);
  EXPECT_EQ(read_all(container, 0x3ff, 1), buffer_of({1}));
}

TYPED_TEST(VT63R, ReadsUpToTheEnd) {
  using C = TypeParam;
  const Buffer content = pattern_bytes(0x400);
  const C container(content);
  Buffer bytes(5);
  EXPECT_EQ(container.memory().read(C::kBase, bytes).count, 5U);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), content.begin()));
  EXPECT_EQ(container.memory().read(C::kBase + 0x3ff, bytes).count, 1U);
  EXPECT_EQ(bytes[0], content.back());
}

TYPED_TEST(VT64, ZerosFromADeviceAndBack) {
  using C = TypeParam;
  const C container(Buffer(0x400, std::byte{0xff}));
  const Device zeros("/dev/zero");
  mapping::FdReader reader(zeros.fd());
  ASSERT_TRUE(container.memory().read_exact_from(C::kBase + 0x10, reader, 4).has_value());
  Buffer sink;
  mapping::VectorWriter writer(sink);
  ASSERT_TRUE(container.memory().write_all_to(C::kBase + 0xf, writer, 6).has_value());
  EXPECT_EQ(sink, buffer_of({0xff, 0, 0, 0, 0, 0xff}));
}

void check_across(const std::vector<Mapped>& regions, PhysAddr base) {
  const auto memory = guest::RegionCollection<Mapped>::from(regions).value();
  const Buffer bytes = buffer_of({1, 2, 3, 4, 5});
  EXPECT_EQ(memory.write(base + 0xffc, bytes).count, 5U);
  Buffer got(5);
  EXPECT_EQ(memory.read(base + 0xffc, got).count, 5U);
  EXPECT_EQ(got, bytes);
  EXPECT_TRUE(regions[0].dirty().dirty_at(0xfff) && regions[1].dirty().dirty_at(0));
}

TEST(VT65, FiveBytesAcrossAdjacentRegions) {
  const Buffer zeros(2 * kPageSize);
  check_across(SplitContainer::regions(Buffer(2 * kPageSize)), SplitContainer::kBase);
  const mapping::File file = file_of(zeros);
  check_across({Mapped::from_file(range_of(0x1000, 0x1000), {file, FileOffset()}).value(),
                Mapped::from_file(range_of(0x2000, 0x1000), {file, FileOffset(0x1000)}).value()},
               PhysAddr(0x1000));
  Buffer got(5);
  ASSERT_TRUE(file.read_at(FileOffset(0xffc), got).complete());
  EXPECT_EQ(got, buffer_of({1, 2, 3, 4, 5}));
}

}  // namespace
}  // namespace engram::test
