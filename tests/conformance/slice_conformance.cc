// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Plain data, and views of bytes that somebody else may write.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "mapping/atomic_bitmap.h"
#include "mapping/endian.h"
#include "mapping/volatile_slice.h"

namespace engram::mapping {

struct SlicePair {
  std::uint32_t a;
  std::uint32_t b;
};
template <>
inline constexpr bool enable_pod<SlicePair> = true;

namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

MemoryError error_of(MemoryErrc code, std::uint64_t address, std::uint64_t expected = 0) {
  return {code, MemoryErrc::none, 0, address, expected, 0};
}
MemoryError out_of_bounds(std::uint64_t end) {
  return error_of(MemoryErrc::out_of_bounds, end);
}
MemoryError overflow(std::uint64_t base, std::uint64_t size) {
  return error_of(MemoryErrc::range_overflow, base, size);
}

template <std::size_t size>
struct Buffer {
  alignas(64) std::array<std::byte, size> bytes = {};
  VolatileSlice<> slice{bytes.data(), size};
};

template <class T>
class VT06 : public testing::Test {};
using Integers = testing::Types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                                std::uint32_t, std::int32_t, std::uint64_t, std::int64_t,
                                std::size_t, std::ptrdiff_t, detail::Uint128, detail::Int128>;
TYPED_TEST_SUITE(VT06, Integers);

TYPED_TEST(VT06, ViewsOfAnIntegerAndItsBytes) {
  using T = TypeParam;
  constexpr std::size_t kSize = sizeof(T);
  alignas(16) std::byte memory[2 * kSize] = {};
  const T zero = zeroed<T>();
  const Bytes all(memory);
  ASSERT_NE(object_in<T>(all.first(kSize)), nullptr);
  EXPECT_TRUE(*object_in<T>(all.first(kSize)) == zero);
  EXPECT_EQ(std::memcmp(bytes_of(zero).data(), memory, kSize), 0);
  EXPECT_EQ(object_in<T>(bytes_of(zero)), &zero);
  for (std::size_t start = 1; start < kSize; ++start) {
    EXPECT_EQ(object_in<T>(all.subspan(start, kSize)), nullptr) << start;
  }
  EXPECT_EQ(object_in<T>(all.first(kSize - 1)), nullptr);
  EXPECT_EQ(object_in<T>(all.first(kSize + 1)), nullptr);
  EXPECT_EQ(object_in<T>(Bytes()), nullptr);
  *object_in<T>(MutableBytes(memory, kSize)) = static_cast<T>(1);
  EXPECT_EQ(memory[0], std::byte{1});
}

TEST(VT08, StructIsASliceOfItsBytes) {
  SlicePair pair = {7, 7};
  const VolatileSlice<> slice(mutable_bytes_of(pair));
  const std::array<std::uint8_t, 8> bytes = {0, 0, 0, 0, 1, 1, 1, 1};
  EXPECT_EQ(slice.copy_from(std::span<const std::uint8_t>(bytes)), 8u);
  EXPECT_EQ(pair.a, 0u);
  EXPECT_EQ(pair.b, 0x01010101u);
}

TEST(VT09, ZeroedStructHasOnlyZeroBytes) {
  const auto pair = zeroed<SlicePair>();
  EXPECT_TRUE(ConstVolatileSlice(bytes_of(pair)).is_zero().value());
}

TEST(VT10, AtomicIntegerLoadsAndStores) {
  Buffer<8> buffer;
  EXPECT_EQ(buffer.slice.load<std::uint32_t>(0).value(), 0u);
  EXPECT_TRUE(buffer.slice.store<std::uint32_t>(0, 100));
  EXPECT_EQ(buffer.slice.load<std::uint32_t>(0).value(), 100u);
  EXPECT_EQ(buffer.slice.atomic_ref<std::uint32_t>(0)->load(), 100u);
}

template <class T>
class VT11 : public testing::Test {};
using EndianTypes = testing::Types<Le16, Le32, Le64, LeSize, Be16, Be32, Be64, BeSize>;
TYPED_TEST_SUITE(VT11, EndianTypes);

TYPED_TEST(VT11, LayoutImageAndComparison) {
  using Native = typename TypeParam::Native;
  static_assert(sizeof(TypeParam) == sizeof(Native) && alignof(TypeParam) == alignof(Native));
  const auto native = static_cast<Native>(0x0123456789ABCDEFu);
  const TypeParam value(native);
  constexpr bool kBig = std::is_same_v<TypeParam, Be16> || std::is_same_v<TypeParam, Be32> ||
                        std::is_same_v<TypeParam, Be64> || std::is_same_v<TypeParam, BeSize>;
  for (std::size_t i = 0; i < sizeof(Native); ++i) {
    const std::size_t shift = 8 * (kBig ? sizeof(Native) - 1 - i : i);
    EXPECT_EQ(std::to_integer<Native>(bytes_of(value)[i]), native >> shift & 0xFF) << i;
  }
  EXPECT_EQ(value.to_native(), native);
  EXPECT_TRUE(value == native && native == value);
  EXPECT_FALSE(value != native || native != value);
  EXPECT_FALSE(value == TypeParam());
  EXPECT_EQ(TypeParam().to_native(), 0u);
}

TEST(VT12, EndOfEveryRange) {
  const Buffer<5> buffer;
  for (std::uint64_t base = 0; base <= 5; ++base) {
    for (std::uint64_t size = 0; base + size <= 5; ++size) {
      EXPECT_TRUE(buffer.slice.check(base, size)) << base << '+' << size;
    }
  }
  EXPECT_EQ(buffer.slice.check(5, 1).error(), out_of_bounds(6));
  EXPECT_EQ(buffer.slice.check(6, 0).error(), out_of_bounds(6));
}

TEST(VT13, OneOfTwoNeighboursIsAligned) {
  const Buffer<3> buffer;
  for (std::size_t skew = 0; skew < 2; ++skew) {
    const auto slice = buffer.slice.offset(0).value();
    const ConstVolatileSlice read_only = slice;
    EXPECT_NE(slice.unsafe_aligned<std::uint16_t>(0).has_value(),
              slice.unsafe_aligned<std::uint16_t>(1).has_value());
    EXPECT_NE(read_only.unsafe_aligned<std::uint16_t>(0).has_value(),
              read_only.unsafe_aligned<std::uint16_t>(1).has_value());
  }
}

TEST(VT14, AtomicReferenceIntoMemory) {
  std::size_t word = 0;
  const VolatileSlice<> slice(mutable_bytes_of(word));
  const auto atomic = slice.atomic_ref<std::size_t>(0);
  ASSERT_TRUE(atomic);
  atomic->store(2);
  EXPECT_EQ(word, 2u);
  word = 5;
  EXPECT_EQ(atomic->load(), 5u);
  EXPECT_EQ(slice.atomic_ref<std::size_t>(1).error(), out_of_bounds(9));
}

TEST(VT15, ReferencesToObjects) {
  const Buffer<8> buffer;
  const auto byte = buffer.slice.ref<std::uint8_t>(3).value();
  EXPECT_TRUE(byte.store(130));
  EXPECT_EQ(byte.load().value(), 130);
  EXPECT_EQ(buffer.bytes[3], std::byte{130});
  const auto word = buffer.slice.ref<std::uint32_t>(1).value();
  EXPECT_EQ(word.slice().guard().data(), buffer.bytes.data() + 1);
  EXPECT_EQ(word.slice().size(), 4u);
  EXPECT_FALSE(word.slice().empty());
}

/// The first of two threads waits for the other one's write and sees it.
void see_the_other_threads_write() {
  std::array<std::byte, 1> memory = {std::byte{99}};
  std::barrier meeting(2);
  std::thread other([&] {
    const VolatileSlice<> own(memory.data(), 1);
    meeting.arrive_and_wait();
    EXPECT_TRUE(own.write_object<std::uint8_t>(0, 0));
    meeting.arrive_and_wait();
  });
  const VolatileSlice<> slice(memory.data(), 1);
  const auto ref = slice.ref<std::uint8_t>(0).value();
  EXPECT_EQ(ref.load().value(), 99);
  meeting.arrive_and_wait();
  meeting.arrive_and_wait();
  EXPECT_EQ(ref.load().value(), 0);
  other.join();
}

TEST(VT16, NothingIsCachedAcrossABarrier) {
  see_the_other_threads_write();
}

TEST(VT17, PartsHaveTheirSizes) {
  EXPECT_TRUE(VolatileSlice<>().empty());
  const Buffer<100> buffer;
  EXPECT_FALSE(buffer.slice.empty());
  EXPECT_EQ(buffer.slice.subslice(0, 27)->size(), 27u);
  const auto part = buffer.slice.subslice(34, 27).value();
  EXPECT_EQ(part.size(), 27u);
  EXPECT_EQ(part.subslice(20, 5)->size(), 5u);
  EXPECT_TRUE(buffer.slice.subslice(34, 0)->empty());
}

TEST(VT18, SubsliceBounds) {
  const Buffer<100> buffer;
  const auto& slice = buffer.slice;
  EXPECT_TRUE(slice.subslice(0, 0));
  EXPECT_TRUE(slice.subslice(99, 0));
  EXPECT_TRUE(slice.subslice(99, 1));
  EXPECT_TRUE(slice.subslice(100, 0));
  EXPECT_EQ(slice.subslice(0, 101).error(), out_of_bounds(101));
  EXPECT_EQ(slice.subslice(99, 2).error(), out_of_bounds(101));
  EXPECT_EQ(slice.subslice(100, 1).error(), out_of_bounds(101));
  EXPECT_EQ(slice.subslice(101, 0).error(), out_of_bounds(101));
  EXPECT_EQ(slice.subslice(101, 1).error(), out_of_bounds(102));
  EXPECT_EQ(slice.subslice(kMax, 2).error(), overflow(kMax, 2));
  EXPECT_EQ(slice.subslice(2, kMax).error(), overflow(2, kMax));
}

TEST(VT19, PartsShowTheSameBytes) {
  const Buffer<100> buffer;
  const auto part = buffer.slice.subslice(10, 80).value();
  EXPECT_TRUE(part.fill(std::byte{1}).complete());
  EXPECT_TRUE(part.equals(std::vector<std::byte>(80, std::byte{1})).value());
  EXPECT_EQ(buffer.bytes[9], std::byte{0});
  const auto rest = buffer.slice.offset(10).value();
  std::vector<std::byte> expected(80, std::byte{1});
  expected.resize(90);
  EXPECT_TRUE(rest.equals(expected).value());
  EXPECT_EQ(buffer.slice.offset(101).error(), out_of_bounds(101));
}

/// 1, 2, 3 ... as elements, of which `count` were moved to a buffer of 0xEE bytes.
template <class T>
void expect_elements(const std::vector<T>& got, std::size_t count) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i], i < count ? static_cast<T>(i + 1) : static_cast<T>(0xEEEE)) << i;
  }
}

template <class T>
std::size_t copied_to(std::size_t slice_size, std::size_t elements) {
  std::vector<T> from(8);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<T>(i + 1);
  const ConstVolatileSlice slice(std::as_bytes(std::span(from)).data(), slice_size);
  std::vector<T> to(elements, static_cast<T>(0xEEEE));
  const std::size_t count = slice.copy_to(std::span(to));
  expect_elements(to, count);
  return count;
}

TEST(VT20, CopyToMovesWholeElements) {
  EXPECT_EQ(copied_to<std::uint8_t>(5, 4), 4u);
  EXPECT_EQ(copied_to<std::uint8_t>(5, 6), 5u);
  EXPECT_EQ(copied_to<std::uint16_t>(9, 4), 4u);
  EXPECT_EQ(copied_to<std::uint16_t>(9, 6), 4u);
}

template <class T>
std::size_t copied_from(std::size_t elements, std::size_t slice_size) {
  std::vector<T> from(elements);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<T>(i + 1);
  std::vector<T> to(8, static_cast<T>(0xEEEE));
  const VolatileSlice<> slice(std::as_writable_bytes(std::span(to)).data(), slice_size);
  const std::size_t count = slice.copy_from(std::span<const T>(from));
  expect_elements(to, count);
  return count;
}

TEST(VT21, CopyFromMovesWholeElements) {
  EXPECT_EQ(copied_from<std::uint8_t>(5, 4), 4u);
  EXPECT_EQ(copied_from<std::uint8_t>(5, 6), 5u);
  EXPECT_EQ(copied_from<std::uint16_t>(5, 8), 4u);
  EXPECT_EQ(copied_from<std::uint16_t>(5, 9), 4u);
}

TEST(VT22, SliceToSliceCopiesTheShorter) {
  Buffer<5> from;
  const Buffer<5> to;
  for (std::size_t i = 0; i < 5; ++i) from.bytes[i] = static_cast<std::byte>(i + 1);
  EXPECT_EQ(to.slice.subslice(0, 4)->copy_from(from.slice), (Transfer{4}));
  EXPECT_EQ(std::memcmp(to.bytes.data(), from.bytes.data(), 4), 0);
  EXPECT_EQ(to.bytes[4], std::byte{0});
}

TEST(VT23, BoundsOfSlicesAndReferences) {
  EXPECT_EQ(Buffer<1>().slice.subslice(kMax, 1).error(), overflow(kMax, 1));
  const Buffer<100> hundred;
  EXPECT_TRUE(hundred.slice.subslice(50, 50));
  EXPECT_EQ(hundred.slice.subslice(55, 50).error(), out_of_bounds(105));
  EXPECT_EQ(hundred.slice.ref<std::uint8_t>(kMax).error(), overflow(kMax, 1));
  EXPECT_EQ(hundred.slice.ref<std::uint16_t>(99).error(), out_of_bounds(101));
  EXPECT_EQ(Buffer<3>().slice.ref<std::uint32_t>(0).error(), out_of_bounds(4));
}

TEST(VT24, ReferenceAndObjectAgree) {
  const Buffer<5> buffer;
  EXPECT_TRUE(buffer.slice.ref<std::uint16_t>(2)->store(9));
  EXPECT_EQ(buffer.slice.read_object<std::uint16_t>(2).value(), 9);
}

TEST(VT29, UnalignedReferenceLeavesItsNeighboursAlone) {
  Buffer<7> buffer;
  const std::array<std::uint8_t, 7> bytes = {1, 2, 0xAA, 0xAA, 0xAA, 0xAA, 4};
  std::memcpy(buffer.bytes.data(), bytes.data(), bytes.size());
  const auto ref = buffer.slice.ref<std::uint32_t>(2).value();
  EXPECT_EQ(ref.load().value(), 0xAAAAAAAAu);
  EXPECT_TRUE(ref.store(0x55555555));
  const std::array<std::uint8_t, 7> expected = {1, 2, 0x55, 0x55, 0x55, 0x55, 4};
  EXPECT_EQ(std::memcmp(buffer.bytes.data(), expected.data(), expected.size()), 0);
}

TEST(VT31, ArrayReferences) {
  const Buffer<12> buffer;
  const ArrayRef<std::uint32_t> array(buffer.slice);
  EXPECT_EQ(array.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(array.store(i, i + 1));
  std::array<std::uint32_t, 3> words{};
  std::memcpy(words.data(), buffer.bytes.data(), sizeof words);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(words[i], i + 1);
    EXPECT_EQ(array.load(i).value(), i + 1);
    EXPECT_EQ(array.ref_at(i).load().value(), i + 1);
  }
  const MemoryError too_big = {MemoryErrc::too_big, MemoryErrc::none, 0, 0, kMax, 4};
  EXPECT_EQ(buffer.slice.array_ref<std::uint32_t>(0, kMax).error(), too_big);
  const ConstVolatileSlice read_only = buffer.slice;
  EXPECT_EQ(read_only.array_ref<std::uint32_t>(0, kMax).error(), too_big);
}

/// The widest access that is aligned at `offset` of memory that is aligned to 32 bytes.
std::size_t widest_access(const VolatileSlice<>& slice, std::uint64_t offset) {
  if (slice.load<std::uint64_t>(offset)) return 8;
  if (slice.load<std::uint32_t>(offset)) return 4;
  if (slice.load<std::uint16_t>(offset)) return 2;
  return slice.load<std::uint8_t>(offset) ? 1 : 0;
}

TEST(VT32, AlignmentIsThatOfTheAddress) {
  const Buffer<64> buffer;
  ASSERT_EQ(reinterpret_cast<std::uintptr_t>(buffer.bytes.data()) % 32, 0u);
  EXPECT_EQ(widest_access(buffer.slice, 0), 8u);
  EXPECT_EQ(widest_access(buffer.slice, 9), 1u);
  EXPECT_EQ(widest_access(buffer.slice, 30), 2u);
  EXPECT_EQ(widest_access(buffer.slice, 12), 4u);
  EXPECT_EQ(widest_access(buffer.slice, 8), 8u);
  // It is the host's address that counts, not the offset.
  const auto skewed = buffer.slice.offset(3).value();
  EXPECT_EQ(widest_access(skewed, 5), 8u);
  EXPECT_EQ(widest_access(skewed, 8), 1u);
}

TEST(VT34, SplitAt) {
  const Buffer<32> buffer;
  const auto sizes = [&](std::uint64_t middle) {
    const auto parts = buffer.slice.split_at(middle).value();
    EXPECT_EQ(parts.second.guard().data(), buffer.bytes.data() + middle);
    return std::pair(parts.first.size(), parts.second.size());
  };
  EXPECT_EQ(sizes(8), (std::pair<std::size_t, std::size_t>(8, 24)));
  EXPECT_EQ(sizes(0), (std::pair<std::size_t, std::size_t>(0, 32)));
  EXPECT_EQ(sizes(31), (std::pair<std::size_t, std::size_t>(31, 1)));
  EXPECT_EQ(sizes(32), (std::pair<std::size_t, std::size_t>(32, 0)));
  EXPECT_EQ(buffer.slice.split_at(33).error(), out_of_bounds(33));
}

class VT35 : public testing::Test {
 protected:
  static constexpr std::size_t kPages = 8;
  static constexpr std::uint64_t kTarget = 0x1000;

  /// Whether these pages are dirty and no others; all are clean then.
  void expect_dirty(std::initializer_list<std::uint64_t> pages) {
    for (std::uint64_t page = 0; page < kPages; ++page) {
      const bool expected = std::find(pages.begin(), pages.end(), page) != pages.end();
      EXPECT_EQ(bitmap_.bit(page), expected) << page;
      EXPECT_EQ(slice_.dirty().dirty_at(page * kPageSize), expected) << page;
    }
    bitmap_.reset();
  }

  std::vector<std::byte> memory_ = std::vector<std::byte>(kPages * kPageSize);
  AtomicBitmap bitmap_{kPages * kPageSize};
  VolatileSlice<BitmapSlice> slice_{memory_.data(), memory_.size(), BitmapSlice(&bitmap_)};
};

TEST_F(VT35, ObjectsAndCopies) {
  expect_dirty({});
  EXPECT_TRUE(slice_.write_object<std::uint64_t>(kTarget, 1));
  expect_dirty({1});
  EXPECT_TRUE(slice_.write_object<std::uint64_t>(2 * kTarget - 4, 1));
  expect_dirty({1, 2});
  const std::array<std::uint8_t, 3> bytes = {1, 2, 3};
  EXPECT_EQ(slice_.offset(kTarget)->copy_from(std::span<const std::uint8_t>(bytes)), 3u);
  expect_dirty({1});
  const std::array<std::uint32_t, 3> words = {1, 2, 3};
  EXPECT_EQ(slice_.offset(kTarget - 8)->copy_from(std::span<const std::uint32_t>(words)), 3u);
  expect_dirty({0, 1});
  const ConstVolatileSlice source(std::as_bytes(std::span(words)));
  EXPECT_EQ(slice_.offset(5 * kPageSize)->copy_from(source).count, sizeof words);
  expect_dirty({5});
}

TEST_F(VT35, ViewsAgreeWithTheirParent) {
  const auto part = slice_.subslice(kTarget, 0x3000).value();
  const auto rest = slice_.offset(2 * kTarget).value();
  const auto halves = slice_.split_at(3 * kTarget).value();
  EXPECT_TRUE(rest.write_object<std::uint32_t>(0x10, 1));
  EXPECT_TRUE(part.dirty().dirty_at(0x1010) && !part.dirty().dirty_at(0));
  EXPECT_TRUE(rest.dirty().dirty_at(0) && !rest.dirty().dirty_at(0x1000));
  EXPECT_TRUE(halves.first.dirty().dirty_at(0x2000) && !halves.second.dirty().dirty_at(0));
  expect_dirty({2});
  EXPECT_TRUE(halves.second.fill(std::byte{1}).complete());
  expect_dirty({3, 4, 5, 6, 7});
  EXPECT_TRUE(halves.first.store<std::uint8_t>(kTarget - 1, 1));
  expect_dirty({0});
}

TEST_F(VT35, ReferencesAndArrays) {
  EXPECT_TRUE(slice_.ref<std::uint16_t>(kTarget)->store(1));
  expect_dirty({1});
  const auto array = slice_.array_ref<std::uint32_t>(0, kPages * kPageSize / 4).value();
  EXPECT_TRUE(array.store(kTarget, 1));  // the index: byte 0x4000
  expect_dirty({4});
  EXPECT_TRUE(array.ref_at(kTarget).store(2));
  expect_dirty({4});
  EXPECT_EQ(array.load(kTarget).value(), 2u);
  expect_dirty({});
}

TEST(XT05, OtherThreadsWriteIsSeen) {
  see_the_other_threads_write();
}

TEST(XT05, SizesAndBounds) {
  EXPECT_EQ(VolatileSlice<>().size(), 0u);
  const Buffer<100> buffer;
  EXPECT_EQ(buffer.slice.size(), 100u);
  EXPECT_TRUE(buffer.slice.subslice(50, 50));
  EXPECT_EQ(buffer.slice.subslice(kMax, 1).error(), overflow(kMax, 1));
  EXPECT_EQ(buffer.slice.subslice(55, 50).error(), out_of_bounds(105));
}

TEST(XT06, AllZeroLooksAtTheWindowOnly) {
  constexpr std::size_t kSize = 4 * kPageSize;
  std::vector<std::byte> memory(kSize);
  const VolatileSlice<> all(memory.data(), kSize);
  const std::pair<std::size_t, std::size_t> windows[] = {
      {0, kSize}, {1, kSize - 1}, {0, kSize - 1}, {1, kSize - 2}, {4001, 16}, {kSize - 17, 16},
  };
  for (const auto& [begin, size] : windows) {
    const auto window = all.subslice(begin, size).value();
    EXPECT_TRUE(window.is_zero().value()) << begin;
    for (const std::size_t inside : {begin, begin + size / 2, begin + size - 1}) {
      memory[inside] = std::byte{0x80};
      EXPECT_FALSE(window.is_zero().value()) << begin << ' ' << inside;
      memory[inside] = std::byte{0};
    }
    if (begin > 0) memory[begin - 1] = std::byte{1};
    if (begin + size < kSize) memory[begin + size] = std::byte{1};
    EXPECT_TRUE(window.is_zero().value()) << begin;
    EXPECT_EQ(all.is_zero().value(), size == kSize);
    std::fill(memory.begin(), memory.end(), std::byte{0});
  }
}

}  // namespace
}  // namespace engram::mapping
