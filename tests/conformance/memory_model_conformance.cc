// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Guest memory against its slow and obvious twin.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "test_memories.h"

namespace engram::test {
namespace {

using guest::MappedMemory;
using guest::RegionCollection;

constexpr std::uint64_t kMax = ~std::uint64_t{0};

/// The slow and obvious twin of a memory: an entry a byte.
class ByteMap {
 public:
  void add(std::uint64_t start, std::uint64_t size) {
    for (std::uint64_t i = 0; i < size; ++i) bytes_[start + i] = std::byte{0};
  }
  /// Moves bytes one by one; `move(byte in the map, index)`.
  template <class Move>
  Transfer each(std::uint64_t address, std::size_t size, Move move) {
    for (std::size_t i = 0; i < size; ++i) {
      if (address + i < address) return {i, MemoryErrc::range_overflow, 0, address + i};
      const auto found = bytes_.find(address + i);
      if (found == bytes_.end()) {
        return {i, MemoryErrc::invalid_guest_address, 0, address + i};
      }
      move(found->second, i);
    }
    return {size};
  }

 private:
  std::map<std::uint64_t, std::byte> bytes_;
};

class ST20 : public testing::Test {
 protected:
  static constexpr std::uint64_t kTop = kMax - 0x1ff;  // a region of 0x200 bytes up to the end

  ST20() {
    std::vector<Part> parts = {{0, 0x40},       {0x1000, 0x300},       {0x1300, 0x80},
                               {0x1500, 0x200}, {kTop - 0x300, 0x100}, {kTop, 0x200}};
    std::vector<guest::AnyRegion> regions;
    for (const Part& part : parts) {
      model_.add(part.start, part.size);
      edges_.push_back(part.start);
      edges_.push_back(part.start + part.size);  // 0 for the last: wraps
      // Every other region has no host memory.
      if (regions.size() % 2 == 0) {
        regions.emplace_back(region(part.start, part.size));
      } else {
        regions.emplace_back(guest::StreamRegion<>::make(range_of(part.start, part.size),
                                                         {file_of(Buffer(part.size)), {}})
                                 .value());
      }
    }
    memory_ = RegionCollection<guest::AnyRegion>::from(std::move(regions)).value();
  }

  std::uint64_t random_address() {
    switch (random_() % 8) {
      case 0:
        return random_();
      case 1:
        return kMax;
      case 2:
        return 0;
      default:
        return edges_[random_() % edges_.size()] + random_() % 0x41 - 0x20;
    }
  }

  std::mt19937_64 random_{20};
  ByteMap model_;
  RegionCollection<guest::AnyRegion> memory_;
  std::vector<std::uint64_t> edges_;
};

TEST_F(ST20, AgreesWithAByteMap) {
  for (int round = 0; round < 10'000; ++round) {
    const std::uint64_t address = random_address();
    const std::size_t size = random_() % 4 == 0 ? random_() % 3 : random_() % 0x500;
    Buffer bytes(size), want(size);
    if (round % 2 == 0) {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
      const Transfer expected =
          model_.each(address, size, [&](std::byte& byte, std::size_t i) { byte = bytes[i]; });
      ASSERT_EQ(memory_.write(PhysAddr(address), bytes), expected) << address << '+' << size;
      continue;
    }
    const Transfer expected =
        model_.each(address, size, [&](const std::byte& byte, std::size_t i) { want[i] = byte; });
    ASSERT_EQ(memory_.read(PhysAddr(address), bytes), expected) << address << '+' << size;
    ASSERT_EQ(bytes, want);
    if (size != 0) {
      ASSERT_EQ(memory_.check(PhysAddr(address), size), expected.complete());
    }
    Buffer sink;
    mapping::VectorWriter stream(sink);
    ASSERT_EQ(memory_.write_to(PhysAddr(address), stream, size), expected);
    want.resize(expected.count);
    ASSERT_EQ(sink, want);
  }
}

TEST_F(ST20, HugeRangesEndWhereTheModelEnds) {
  for (int round = 0; round < 1000; ++round) {
    const std::uint64_t address = random_address();
    ASSERT_FALSE(memory_.check(PhysAddr(address), kMax - random_() % 0x1000));
    const Transfer expected = model_.each(address, 0x1000, [](std::byte, std::size_t) {});
    const Walk walk = walk_slices(memory_, address, kMax);
    std::uint64_t sum = 0;
    for (const std::uint64_t size : walk.sizes) sum += size;
    ASSERT_LE(sum, expected.count);  // less where a region has no host memory
    ASSERT_NE(walk.error, MemoryErrc::none);
    if (walk.error != MemoryErrc::host_address_unavailable) {
      ASSERT_EQ(sum, expected.count);
    }
  }
}

}  // namespace
}  // namespace engram::test
