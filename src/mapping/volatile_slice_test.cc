// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "mapping/test_shrinking_memory.h"

namespace engram::mapping {
namespace {

using test::ShrinkingMemory;

/// Remembers what it was told.
struct Recorder {
  std::vector<std::pair<std::uint64_t, std::uint64_t>>* marks = nullptr;
  std::uint64_t base = 0;

  void mark_dirty(std::uint64_t offset, std::uint64_t size) const {
    marks->emplace_back(base + offset, size);
  }
  [[nodiscard]] bool dirty_at(std::uint64_t offset) const {
    for (const auto& [begin, size] : *marks) {
      if (base + offset >= begin && base + offset - begin < size) return true;
    }
    return false;
  }
  [[nodiscard]] Recorder slice_at(std::uint64_t offset) const { return {marks, base + offset}; }
};
using Marks = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct Triple {
  std::uint32_t a, b, c;
};

}  // namespace

template <>
inline constexpr bool enable_pod<Triple> = true;

namespace {

MemoryError refused(MemoryErrc code, std::uint64_t address, std::uint64_t expected = 0) {
  return {code, MemoryErrc::none, 0, address, expected, 0};
}

TEST(VolatileSlice, IsAnIovecWithoutTracker) {
  std::byte bytes[24];
  const std::array slices = {VolatileSlice<>(bytes, 8), VolatileSlice<>(bytes + 8, 16)};
  iovec vectors[2];
  static_assert(sizeof vectors == sizeof slices);
  std::memcpy(vectors, slices.data(), sizeof vectors);
  EXPECT_EQ(vectors[0].iov_base, bytes);
  EXPECT_EQ(vectors[0].iov_len, 8U);
  EXPECT_EQ(vectors[1].iov_base, bytes + 8);
  EXPECT_EQ(vectors[1].iov_len, 16U);
  static_assert(!std::is_convertible_v<ConstVolatileSlice, VolatileSlice<>>);
  static_assert(std::is_convertible_v<VolatileSlice<>, ConstVolatileSlice>);
}

/// Every operation against a plain model, at random places in and around the view.
TEST(VolatileSlice, AgreesWithTheModelEverywhere) {
  constexpr std::size_t kSize = 64;
  std::mt19937_64 random(1);
  std::vector<std::byte> memory(kSize);
  std::vector<std::byte> model(kSize);
  const VolatileSlice<> slice((MutableBytes(memory)));
  const auto anywhere = [&]() -> std::uint64_t {
    switch (random() % 8) {
      case 0:
        return ~std::uint64_t{0} - random() % 10;
      case 1:
        return random();
      default:
        return random() % (kSize + 8);
    }
  };
  for (int round = 0; round < 200000; ++round) {
    const std::uint64_t offset = anywhere();
    const std::size_t size = random() % 24;
    const std::size_t room = offset < kSize ? kSize - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(size, room);
    Transfer expected = {count};
    if (count < size) expected = {count, MemoryErrc::out_of_bounds, 0, offset + count};
    std::byte data[24];
    for (auto& byte : data) byte = static_cast<std::byte>(random());
    if (random() % 2 == 0) {
      ASSERT_EQ(slice.write(offset, {data, size}), expected) << offset << ' ' << size;
      if (count > 0) std::memcpy(model.data() + offset, data, count);
      ASSERT_EQ(memory, model);
    } else {
      std::byte got[24];
      std::memcpy(got, data, sizeof got);
      ASSERT_EQ(slice.read(offset, {got, size}), expected) << offset << ' ' << size;
      if (count > 0) std::memcpy(data, model.data() + offset, count);
      ASSERT_EQ(std::memcmp(got, data, sizeof got), 0);
    }
    const auto part = slice.subslice(offset, size);
    if (offset + size < offset) {
      ASSERT_EQ(part.error(), refused(MemoryErrc::range_overflow, offset, size));
    } else if (offset + size > kSize) {
      ASSERT_EQ(part.error(), refused(MemoryErrc::out_of_bounds, offset + size));
    } else {
      ASSERT_EQ(part->size(), size);
      ASSERT_EQ(part->guard().data(), memory.data() + offset);
    }
  }
}

template <class T>
void objects_and_atomics() {
  alignas(16) std::byte memory[40] = {};
  const VolatileSlice<> slice(memory, sizeof memory);
  for (std::size_t at = 0; at + sizeof(T) <= sizeof memory; ++at) {
    const T value = static_cast<T>(0x8182838485868788U + at);
    ASSERT_TRUE(slice.write_object(at, value));
    ASSERT_EQ(load_unaligned<T>(memory + at), value);
    ASSERT_EQ(slice.read_object<T>(at).value(), value);
    ASSERT_EQ(slice.ref<T>(at)->load().value(), value);
    const T other = static_cast<T>(~value);
    const auto stored = slice.store<T>(at, other);
    if (at % sizeof(T) == 0) {
      ASSERT_TRUE(stored);
      ASSERT_EQ(slice.load<T>(at).value(), other);
      ASSERT_EQ((slice.load<T, std::memory_order_relaxed>(at)).value(), other);
      ASSERT_TRUE((slice.store<T, std::memory_order_release>(at, value)));
      ASSERT_EQ((slice.load<T, std::memory_order_acquire>(at)).value(), value);
      ASSERT_EQ(slice.atomic_ref<T>(at)->load(), value);
    } else {
      ASSERT_EQ(stored.error(), refused(MemoryErrc::misaligned, at, sizeof(T)));
      ASSERT_EQ(slice.load<T>(at).error(), refused(MemoryErrc::misaligned, at, sizeof(T)));
      ASSERT_EQ(load_unaligned<T>(memory + at), value);
    }
  }
  const std::size_t end = sizeof memory - sizeof(T) + 1;
  const auto outside = refused(MemoryErrc::out_of_bounds, sizeof memory + 1);
  EXPECT_EQ(slice.load<T>(end).error(), outside);
  EXPECT_EQ(slice.store<T>(end, T{}).error(), outside);
  EXPECT_EQ(slice.ref<T>(end).error(), outside);
  const auto past = ~std::uint64_t{0};
  EXPECT_EQ(slice.load<T>(past).error(), refused(MemoryErrc::range_overflow, past, sizeof(T)));
}

TEST(VolatileSlice, MovesObjectsOfEveryIntegerType) {
  objects_and_atomics<std::uint8_t>();
  objects_and_atomics<std::int8_t>();
  objects_and_atomics<std::uint16_t>();
  objects_and_atomics<std::int16_t>();
  objects_and_atomics<std::uint32_t>();
  objects_and_atomics<std::int32_t>();
  objects_and_atomics<std::uint64_t>();
  objects_and_atomics<std::int64_t>();
}

TEST(VolatileSlice, ObjectThatDoesNotFitSaysHowFarItCame) {
  std::byte memory[10] = {};
  const VolatileSlice<> slice(memory, sizeof memory);
  const MemoryError partial = {MemoryErrc::partial, MemoryErrc::out_of_bounds, 0, 10, 12, 6};
  EXPECT_EQ(slice.read_object<Triple>(4).error(), partial);
  EXPECT_EQ(slice.write_object(4, Triple{}).error(), partial);
  const MemoryError outside = {MemoryErrc::out_of_bounds, MemoryErrc::none, 0, 10, 12, 0};
  EXPECT_EQ(slice.read_object<Triple>(10).error(), outside);
  EXPECT_EQ(slice.write_object(10, Triple{}).error(), outside);
}

TEST(VolatileSlice, FaultsAreTruncatedSources) {
  const ShrinkingMemory memory(3);
  memory.resize(1);
  Marks marks;
  const VolatileSlice<Recorder> slice(memory.data(), memory.size(), {&marks});
  constexpr std::uint64_t kEnd = kPageSize;
  std::byte to[100] = {};
  const Transfer seven = {7, MemoryErrc::source_truncated, 0, kEnd};
  EXPECT_EQ(slice.read(kEnd - 7, to), seven);
  // Beyond the view and faulting at once: what comes first counts.
  EXPECT_EQ(slice.read(memory.size() - 9, to),
            (Transfer{0, MemoryErrc::source_truncated, 0, memory.size() - 9}));
  EXPECT_TRUE(marks.empty());
  EXPECT_EQ(slice.write(kEnd - 7, to), seven);
  EXPECT_EQ(marks, (Marks{{kEnd - 7, 7}}));
  marks.clear();
  const MemoryError partial = {MemoryErrc::partial, MemoryErrc::source_truncated, 0, kEnd, 8, 3};
  EXPECT_EQ(slice.read_object<std::uint64_t>(kEnd - 3).error(), partial);
  EXPECT_EQ(slice.write_object<std::uint64_t>(kEnd - 3, 1).error(), partial);
  EXPECT_EQ(marks, (Marks{{kEnd - 3, 3}}));
  marks.clear();
  const auto gone = refused(MemoryErrc::source_truncated, kEnd);
  EXPECT_EQ(slice.load<std::uint32_t>(kEnd).error(), gone);
  EXPECT_EQ(slice.store<std::uint32_t>(kEnd, 1).error(), gone);
  EXPECT_TRUE(marks.empty());
  EXPECT_EQ(slice.fill(std::byte{1}), (Transfer{kEnd, MemoryErrc::source_truncated, 0, kEnd}));
  EXPECT_EQ(marks, (Marks{{0, kEnd}}));
  EXPECT_EQ(slice.is_zero().value(), false);
  EXPECT_EQ(slice.fill(std::byte{0}).count, kEnd);
  EXPECT_EQ(slice.is_zero().error(), gone);
  EXPECT_EQ(slice.equals(std::vector<std::byte>(memory.size())).error().code,
            MemoryErrc::source_truncated);
  std::vector<std::uint32_t> words(memory.size() / 4);
  EXPECT_EQ(slice.copy_to(std::span(words)), kEnd / 4);
  EXPECT_EQ(slice.copy_from(std::span<const std::uint32_t>(words)), kEnd / 4);
  EXPECT_EQ(slice.copy_from(ConstVolatileSlice(std::as_bytes(std::span(words)))),
            (Transfer{kEnd, MemoryErrc::source_truncated, 0, kEnd}));
}

TEST(VolatileSlice, MarksWhatItWroteAndNothingElse) {
  std::vector<std::byte> memory(1000);
  Marks marks;
  const VolatileSlice<Recorder> whole(memory.data(), memory.size(), {&marks});
  const auto expect = [&](const Marks& expected) {
    EXPECT_EQ(marks, expected);
    marks.clear();
  };
  const auto part = whole.subslice(100, 400)->offset(10)->split_at(5)->second;  // from 115 on
  std::byte data[9] = {};
  EXPECT_TRUE(part.write(1, data).complete());
  expect({{116, 9}});
  EXPECT_TRUE(part.write_object(3, std::uint32_t{1}));
  expect({{118, 4}});
  EXPECT_TRUE(part.write_object(3, Triple{}));
  expect({{118, 12}});
  EXPECT_TRUE(part.fill(std::byte{1}).complete());
  expect({{115, 385}});
  EXPECT_TRUE(part.store<std::uint8_t>(3, 1));
  expect({{118, 1}});
  EXPECT_TRUE(part.ref<std::uint16_t>(8)->store(1));
  expect({{123, 2}});
  const auto array = part.array_ref<std::uint32_t>(5, 3);
  EXPECT_TRUE(array->store(2, 7));
  expect({{128, 4}});
  EXPECT_TRUE(array->ref_at(1).store(7));
  expect({{124, 4}});
  const std::uint32_t words[2] = {1, 2};
  EXPECT_EQ(array->copy_from(words), 2U);
  expect({{120, 8}});
  EXPECT_TRUE(part.copy_from(*whole.subslice(0, 3)).complete());
  expect({{115, 3}});
  part.mark(7, 2);
  expect({{122, 2}});
  // Reading, empty and refused writes, and what is written behind the view's back.
  EXPECT_TRUE(part.read(0, data).complete());
  EXPECT_TRUE(part.write(5000, {}).complete());
  EXPECT_EQ(part.write(385, data).count, 0U);
  EXPECT_TRUE(array->load(1));
  *part.unsafe_aligned<std::uint8_t>(0).value() = 4;
  part.atomic_ref<std::uint8_t>(0)->store(5);
  EXPECT_EQ(std::to_integer<int>(*part.mutable_guard().data()), 5);
  expect({});
}

TEST(VolatileSlice, OptionalTrackerForwardsWhenThereIsOne) {
  std::byte memory[8] = {};
  Marks marks;
  using Tracker = OptionalTracker<Recorder>;
  const VolatileSlice<Tracker> tracked(memory, 8, Tracker(Recorder{&marks}));
  EXPECT_TRUE(tracked.offset(2)->write_object(1, std::uint8_t{1}));
  EXPECT_EQ(marks, (Marks{{3, 1}}));
  EXPECT_TRUE(tracked.dirty().dirty_at(3));
  const VolatileSlice<Tracker> untracked(memory, 8);
  EXPECT_TRUE(untracked.offset(2)->write_object(1, std::uint8_t{1}));
  EXPECT_FALSE(untracked.dirty().dirty_at(3));
}

TEST(VolatileSlice, ZeroAndEqualLookAtEveryByte) {
  std::vector<std::byte> memory(10000);
  for (const std::size_t size : {0U, 1U, 2U, 15U, 4095U, 4096U, 4097U, 10000U}) {
    const ConstVolatileSlice slice(memory.data(), size);
    EXPECT_TRUE(slice.is_zero().value()) << size;
    const std::vector<std::byte> copy(size);
    EXPECT_TRUE(slice.equals(copy).value()) << size;
    EXPECT_FALSE(slice.equals(std::vector<std::byte>(size + 1)).value()) << size;
    for (const std::size_t at : {0U, 1U, 14U, 4094U, 4095U, 4096U, 9999U}) {
      if (at >= size) continue;
      memory[at] = std::byte{1};
      EXPECT_FALSE(slice.is_zero().value()) << size << ' ' << at;
      EXPECT_FALSE(slice.equals(copy).value()) << size << ' ' << at;
      memory[at] = std::byte{0};
    }
  }
}

TEST(VolatileSlice, ViewsOverlap) {
  std::vector<std::uint8_t> memory(9000);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::uint8_t>(i % 251);
  const auto original = memory;
  const VolatileSlice<> slice(std::as_writable_bytes(std::span(memory)));
  EXPECT_EQ(slice.offset(3)->copy_from(slice), (Transfer{8997}));
  EXPECT_TRUE(std::equal(memory.begin() + 3, memory.end(), original.begin()));
  EXPECT_EQ(slice.copy_from(*slice.offset(3)), (Transfer{8997}));
  EXPECT_TRUE(std::equal(original.begin(), original.end() - 3, memory.begin()));
}

TEST(VolatileSlice, OrderedStoresPublish) {
  alignas(8) std::byte memory[16] = {};
  const VolatileSlice<> slice(memory, sizeof memory);
  std::atomic<int> wrong = 0;
  std::thread reader([&] {
    for (std::uint64_t seen = 0; seen < 20000;) {
      const auto now = slice.load<std::uint64_t, std::memory_order_acquire>(8).value();
      if (slice.load<std::uint64_t, std::memory_order_relaxed>(0).value() < now) ++wrong;
      seen = now;
    }
  });
  for (std::uint64_t i = 1; i <= 20000; ++i) {
    EXPECT_TRUE((slice.store<std::uint64_t, std::memory_order_relaxed>(0, i)));
    EXPECT_TRUE((slice.store<std::uint64_t, std::memory_order_release>(8, i)));
  }
  reader.join();
  EXPECT_EQ(wrong, 0);
}

TEST(VolatileSliceDeathTest, IndexPastTheEndIsABug) {
  std::byte memory[8] = {};
  const VolatileSlice<> slice(memory, sizeof memory);
  const auto array = slice.array_ref<std::uint32_t>(0, 2).value();
  EXPECT_DEBUG_DEATH(static_cast<void>(array.load(2)), "index < size");
}

}  // namespace
}  // namespace engram::mapping
