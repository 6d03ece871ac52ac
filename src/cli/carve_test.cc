// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/carve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "paging/test_memory.h"

namespace engram::cli {
namespace {

using paging::testing::kP;
using testing::ElementsAre;

constexpr VirtAddr kStart{0x7f00'0000'0000};

class StringSink final : public image::Sink {
 public:
  Result<void> write(Bytes bytes) override {
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  Result<void> zeros(std::uint64_t count) override {
    holes_ += count;
    length_of_holes_.push_back(count);
    if (count <= kMiB) text_.append(static_cast<std::size_t>(count), '\0');
    return {};
  }
  std::string text_;
  std::uint64_t holes_ = 0;
  std::vector<std::uint64_t> length_of_holes_;
};

class FullSink final : public image::Sink {
 public:
  Result<void> write(Bytes) override { return fail("disk: full"); }
  Result<void> zeros(std::uint64_t) override { return {}; }
};

/// One page of 'a' mapped twice, one of zeros, one outside the image; the others are not mapped.
class CarveTest : public testing::Test {
 protected:
  CarveTest() {
    std::memset(bytes_.at(PhysAddr(kLetters)), 'a', kPageSize);
    root_ = bytes_.new_table();
    page(0, kLetters);
    page(1, kLetters);
    page(2, kZeros);
    page(4, kOutside);
    put_entry(5, 0x1234'5000);  // not present, and not empty
    memory_ = bytes_.memory();
  }
  void page(std::uint64_t index, std::uint64_t physical) {
    bytes_.map(root_, 4, kStart + index * kPageSize, PhysAddr(physical), kPageSize, kP);
  }
  void put_entry(std::uint64_t index, std::uint64_t value) {
    bytes_.map(root_, 4, kStart + index * kPageSize, PhysAddr(value), kPageSize, 0);
  }
  Result<std::optional<Carved>> run(VirtAddr start, std::uint64_t size, image::Sink& sink) {
    const paging::AddressSpace space(memory_, {Architecture::x86_64, 4}, root_);
    return carve(space, start, size, sink, [] { return false; });
  }

  static constexpr std::uint64_t kLetters = 0x80000, kZeros = 0x81000, kOutside = 0x1000'0000;
  paging::testing::TestMemory bytes_{kMiB};
  PhysAddr root_;
  guest::Memory memory_;
};

TEST_F(CarveTest, EveryByteIsInItsPlace) {
  StringSink sink;
  const auto carved = run(kStart + 16, 6 * kPageSize, sink);
  ASSERT_TRUE(carved && *carved);
  EXPECT_EQ(sink.text_,
            std::string(2 * kPageSize - 16, 'a') + std::string(4 * kPageSize + 16, '\0'));
  EXPECT_EQ((*carved)->copied, 3 * kPageSize - 16);
  EXPECT_EQ(sink.holes_, 4 * kPageSize + 16) << "zeros that are mapped take no room either";
  EXPECT_THAT((*carved)->parts,
              ElementsAre(CarvedPart{kStart + 16, 3 * kPageSize - 16, PartKind::copied},
                          CarvedPart{kStart + 3 * kPageSize, kPageSize, PartKind::unmapped},
                          CarvedPart{kStart + 4 * kPageSize, kPageSize, PartKind::page_absent},
                          CarvedPart{kStart + 5 * kPageSize, kPageSize, PartKind::not_present},
                          CarvedPart{kStart + 6 * kPageSize, 16, PartKind::unmapped}));
}

TEST_F(CarveTest, AWholeAddressSpaceTakesFewSteps) {
  StringSink sink;
  const auto carved = run(VirtAddr(0), ~std::uint64_t{0}, sink);
  ASSERT_TRUE(carved && *carved);
  EXPECT_EQ((*carved)->copied, 3 * kPageSize);
  EXPECT_LT(sink.length_of_holes_.size(), 3000U);
  EXPECT_EQ(sink.holes_ + 2 * kPageSize, ~std::uint64_t{0});
  std::uint64_t at = 0;
  for (const auto& part : (*carved)->parts) {
    EXPECT_EQ(part.start.value, at);
    at += part.size;
  }
  EXPECT_EQ(at, ~std::uint64_t{0});
  EXPECT_THAT((*carved)->parts,
              testing::Contains(
                  CarvedPart{VirtAddr(1ULL << 47U), 0 - (1ULL << 48U), PartKind::not_an_address}));
}

TEST_F(CarveTest, ATableOutsideTheImage) {
  const VirtAddr far = kStart + (1ULL << 39U);
  bytes_.put(root_ + ((far.value >> 39U) & 511U) * 8, kOutside | kP);
  memory_ = bytes_.memory();
  StringSink sink;
  const auto carved = run(far, 100, sink);
  ASSERT_TRUE(carved && *carved);
  EXPECT_THAT((*carved)->parts, ElementsAre(CarvedPart{far, 100, PartKind::table_absent}));
  EXPECT_EQ((*carved)->copied, 0U);
}

TEST_F(CarveTest, AFullDiskAndAnInterruptEndIt) {
  FullSink full;
  const auto carved = run(kStart, kPageSize, full);
  ASSERT_FALSE(carved);
  EXPECT_EQ(carved.error().text, "disk: full");
  StringSink sink;
  const paging::AddressSpace space(memory_, {Architecture::x86_64, 4}, root_);
  const auto interrupted = carve(space, kStart, kPageSize, sink, [] { return true; });
  EXPECT_TRUE(interrupted && !*interrupted);
}

}  // namespace
}  // namespace engram::cli
