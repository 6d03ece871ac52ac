// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/btf_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "paging/test_memory.h"
#include "types/btf_layout.h"
#include "types/test_btf.h"

namespace engram::types {
namespace {

using paging::testing::TestMemory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr VirtAddr kKernel{0xffffffff81000000};
constexpr PhysAddr kPages{0x40000};  // the tables lie below
constexpr std::uint64_t kMemorySize = 2 * kMiB;

std::vector<std::uint64_t> addresses(const std::vector<BtfBlob>& blobs) {
  std::vector<std::uint64_t> result;
  result.reserve(blobs.size());
  for (const BtfBlob& blob : blobs) result.push_back(blob.address);
  return result;
}

/// A blob of about `size` bytes.
std::vector<std::byte> blob_of(std::size_t size) {
  testing::BtfWriter w = testing::every_kind();
  while (w.bytes().size() < size) w.integer("integer_number_" + std::to_string(w.next()), 4);
  return w.bytes();
}

void put(TestMemory& memory, PhysAddr at, Bytes bytes) {
  std::copy(bytes.begin(), bytes.end(), memory.at(at));
}

TEST(BtfFinder, FindsBlobsOfPhysicalMemoryLargestFirst) {
  TestMemory bytes(kMemorySize);
  const auto small = blob_of(3000);
  const auto large = blob_of(9000);
  put(bytes, PhysAddr(0), small);
  put(bytes, PhysAddr(0x12344), large);
  const guest::Memory memory = bytes.memory();
  const auto found = find_btf(memory, 1000);
  ASSERT_THAT(addresses(found), ElementsAre(0x12344, 0));
  EXPECT_TRUE(std::ranges::equal(found[0].bytes, large));
  EXPECT_TRUE(std::ranges::equal(found[1].bytes, small));
  EXPECT_THAT(addresses(find_btf(memory, 5000)), ElementsAre(0x12344));
  EXPECT_TRUE(find_btf(memory).empty());
}

TEST(BtfFinder, FindsABlobAcrossChunksAndAtEachOfTheirEnds) {
  const auto blob = blob_of(400);
  for (const std::uint64_t border : {256 * kKiB, 512 * kKiB}) {
    for (std::uint64_t back = 0; back <= 48; back += 4) {
      TestMemory bytes(kMemorySize);
      put(bytes, PhysAddr(border - back), blob);
      EXPECT_THAT(addresses(find_btf(bytes.memory(), 24)), ElementsAre(border - back)) << back;
    }
  }
}

TEST(BtfFinder, FindsABlobAtTheEndOfMemory) {
  TestMemory bytes(kMemorySize);
  auto blob = blob_of(400);
  blob.resize((blob.size() + 3) / 4 * 4);
  put(bytes, PhysAddr(kMemorySize - blob.size()), blob);
  EXPECT_THAT(addresses(find_btf(bytes.memory(), 24)), ElementsAre(kMemorySize - blob.size()));
}

TEST(BtfFinder, LooksAtMultiplesOfFourOnly) {
  TestMemory bytes(kMemorySize);
  put(bytes, PhysAddr(0x10002), blob_of(400));
  EXPECT_TRUE(find_btf(bytes.memory(), 24).empty());
}

TEST(BtfFinder, LeavesOutWhatIsNotPlausible) {
  const auto blob = blob_of(3000);
  struct Case {
    const char* name;
    std::size_t offset;
    std::byte value;
  };
  for (const Case& damage : {Case{"magic", 1, std::byte{0xec}}, Case{"version", 2, std::byte{2}},
                             Case{"flags", 3, std::byte{1}}, Case{"header", 4, std::byte{23}},
                             Case{"types", 15, std::byte{1}}, Case{"strings", 23, std::byte{1}},
                             Case{"last", blob.size() - 1, std::byte{1}}}) {
    TestMemory bytes(kMemorySize);
    auto broken = blob;
    broken[damage.offset] = damage.value;
    put(bytes, kPages, broken);
    EXPECT_TRUE(find_btf(bytes.memory(), 24).empty()) << damage.name;
  }
}

TEST(BtfFinder, ABlobThatEndsOutsideMemoryIsNone) {
  TestMemory bytes(kMemorySize);
  const auto blob = blob_of(3000);
  put(bytes, kPages, blob);
  EXPECT_TRUE(find_btf(bytes.memory({{PhysAddr(), kPages.value + blob.size() - 1}}), 24).empty());
  EXPECT_EQ(find_btf(bytes.memory({{PhysAddr(), kPages.value + blob.size()}}), 24).size(), 1U);
}

TEST(BtfFinder, AgreesWithALookAtEveryWord) {
  std::mt19937 random(2);
  const auto blob = blob_of(200);
  for (int round = 0; round < 50; ++round) {
    TestMemory bytes(kMiB);
    std::vector<std::uint64_t> expected;
    for (std::uint64_t at = random() % 5000; at + blob.size() < bytes.size();
         at += blob.size() + random() % 50'000) {
      put(bytes, PhysAddr(at), blob);
      if (at % 4 == 0) expected.push_back(at);
    }
    EXPECT_EQ(addresses(find_btf(bytes.memory(), 24)), expected);
  }
}

TEST(BtfFinder, HeadersWithoutEndAreBounded) {
  TestMemory bytes(kMemorySize);
  // Each header announces all that follows as one long string.
  for (std::uint64_t at = 0; at + 64 < kMemorySize; at += 64) {
    const btf::Header header{btf::kMagic, btf::kVersion,
                             0,           24,
                             0,           12,
                             12,          static_cast<std::uint32_t>(kMemorySize - at - 36)};
    std::memcpy(bytes.at(PhysAddr(at)), &header, sizeof header);
  }
  const auto found = find_btf(bytes.memory(), 24);
  std::size_t total = 0;
  for (const BtfBlob& blob : found) total += blob.bytes.size();
  EXPECT_FALSE(found.empty());
  EXPECT_LE(total, 256 * kMiB);
}

/// A kernel whose pages lie in physical memory in the opposite order.
class BtfFinderPaged : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kCount = 16;

  BtfFinderPaged() : bytes_(kMemorySize), root_(bytes_.new_table()) {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      bytes_.map(root_, 4, kKernel + i * kPageSize, frame(i), kPageSize, paging::testing::kP);
    }
    memory_ = bytes_.memory();
  }

  static PhysAddr frame(std::uint64_t page) { return kPages + (kCount - 1 - page) * kPageSize; }

  void write(std::uint64_t offset, Bytes bytes) {
    for (const std::byte byte : bytes) {
      *bytes_.at(frame(offset / kPageSize) + offset % kPageSize) = byte;
      ++offset;
    }
  }

  [[nodiscard]] paging::AddressSpace space() const { return {memory_, paging::Mode(), root_}; }
  [[nodiscard]] static std::vector<paging::Mapping> image(const paging::AddressSpace& space) {
    std::vector<paging::Mapping> result;
    space.for_each_mapping(kKernel, kKernel + (kMiB - 1), [&](const paging::Mapping& mapping) {
      result.push_back(mapping);
      return true;
    });
    return result;
  }

  TestMemory bytes_;
  PhysAddr root_;
  guest::Memory memory_;
};

TEST_F(BtfFinderPaged, FindsABlobOverScatteredPages) {
  const auto blob = blob_of(20'000);
  write(kPageSize - 8, blob);  // the header, too, lies on two pages
  const auto space = this->space();
  const auto found = find_btf(space, image(space), 1000);
  ASSERT_THAT(addresses(found), ElementsAre(kKernel.value + kPageSize - 8));
  EXPECT_TRUE(std::ranges::equal(found[0].bytes, blob));
  EXPECT_TRUE(TypeDb::from_btf(found[0].bytes));
  EXPECT_TRUE(find_btf(memory_, 1000).empty());
}

TEST_F(BtfFinderPaged, ReadsABlobAtAKnownPlace) {
  const auto blob = blob_of(20'000);
  write(0x1236, blob);
  const auto read = read_btf(space(), kKernel + 0x1236);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->address, kKernel.value + 0x1236);
  EXPECT_TRUE(std::ranges::equal(read->bytes, blob));
}

TEST_F(BtfFinderPaged, WhatCannotBeReadIsAnError) {
  const auto blob = blob_of(20'000);
  const auto error_at = [&](std::uint64_t offset, std::uint64_t limit = 64 * kMiB) {
    const auto read = read_btf(space(), kKernel + offset, limit);
    return read ? "none" : read.error().text;
  };
  write(0x2000, blob);
  EXPECT_THAT(error_at(0x2004), HasSubstr("magic"));
  EXPECT_THAT(error_at(0x2004), HasSubstr("0xffffffff81002004"));
  EXPECT_THAT(error_at(0x2000, blob.size() - 1), HasSubstr("expected at most"));
  EXPECT_EQ(error_at(0x2000, blob.size()), "none");
  EXPECT_THAT(error_at(0x100000), HasSubstr("blob at 0xffffffff81100000: "));
  write(0xf000, Bytes(blob).first(0x1000));
  EXPECT_THAT(error_at(0xf000), HasSubstr("blob at 0xffffffff8100f000: "));
}

}  // namespace
}  // namespace engram::types
