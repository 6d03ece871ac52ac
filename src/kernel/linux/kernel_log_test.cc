// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kernel_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/linux/test_kernel_memory.h"
#include "types/test_btf.h"

namespace engram::kernel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// The structures of the ring buffer as Linux 7.2 has them, but for the members that nobody reads.
types::TypeDb ring_types() {
  types::testing::BtfWriter btf;
  const auto character = btf.integer("char", 1);
  const auto byte = btf.integer("u8", 1);
  const auto half = btf.integer("u16", 2);
  const auto word = btf.integer("u32", 4);
  const auto number = btf.integer("u64", 8);
  const auto pointer = btf.pointer(0);
  const auto position =
      btf.structure("prb_data_blk_lpos", 16, {{"begin", number, 0}, {"next", number, 64}});
  btf.structure("prb_desc", 24, {{"state_var", number, 0}, {"text_blk_lpos", position, 64}});
  const auto descriptors = btf.structure("prb_desc_ring", 40,
                                         {{"count_bits", word, 0},
                                          {"descs", pointer, 64},
                                          {"infos", pointer, 128},
                                          {"head_id", number, 192},
                                          {"tail_id", number, 256}});
  const auto text =
      btf.structure("prb_data_ring", 16, {{"size_bits", word, 0}, {"data", pointer, 64}});
  btf.structure("printk_ringbuffer", 56,
                {{"desc_ring", descriptors, 0}, {"text_data_ring", text, 320}});
  const auto subsystem = btf.array(character, 16);
  const auto device = btf.array(character, 48);
  const auto about =
      btf.structure("dev_printk_info", 64, {{"subsystem", subsystem, 0}, {"device", device, 128}});
  btf.structure("printk_info", 112,
                {{"seq", number, 0},
                 {"ts_nsec", number, 64},
                 {"text_len", half, 128},
                 {"facility", byte, 144},
                 {"flags", byte, 152, 5},
                 {"level", byte, 157, 3},
                 {"caller_id", word, 160},
                 {"caller_id2", word, 192},
                 {"comm", subsystem, 224},
                 {"dev_info", about, 352}});
  return types::TypeDb::from_btf(btf.bytes()).value();
}

constexpr VirtAddr kPrb = kBase;
constexpr VirtAddr kRing = kBase + 0x100;
constexpr VirtAddr kDescriptors = kBase + 0x1000;
constexpr VirtAddr kInfos = kBase + 0x2000;
constexpr VirtAddr kText = kBase + 0x3f80;  ///< its second half lies on the next page
constexpr std::uint64_t kTextSize = 256;
constexpr std::uint64_t kCount = 8;
constexpr std::uint64_t kCommitted = 1ULL << 62U, kFinalized = 2ULL << 62U, kReusable = 3ULL << 62U;

class KernelLogTest : public KernelMemoryTest {
 protected:
  explicit KernelLogTest(std::optional<std::uint64_t> hole = std::nullopt)
      : KernelMemoryTest(hole) {
    types::SymbolTable::Builder symbols;
    symbols.add("prb", kPrb, 'd');
    symbols_ = std::move(symbols).build();
    put(kPrb, kRing.value);
    put(kRing, 3);  // 2^3 descriptors
    put(kRing + 8, kDescriptors.value);
    put(kRing + 16, kInfos.value);
    put(kRing + 40, 8);  // 2^8 bytes
    put(kRing + 48, kText.value);
    range(100, 99);
  }

  void range(std::uint64_t tail, std::uint64_t head) {
    put(kRing + 24, head);
    put(kRing + 32, tail);
  }

  /// A record whose text lies at `begin` of the ring's positions, which go on behind its end.
  void record(std::uint64_t id, std::uint64_t begin, std::uint64_t next, std::string_view text,
              std::uint64_t state = kFinalized) {
    describe(id, begin, next, text.size(), state);
    const bool wraps = begin / kTextSize != (next - 1) / kTextSize;
    const VirtAddr block = kText + (wraps ? 0 : begin % kTextSize);
    put(block, id);
    std::memcpy(bytes_.at(physical(block + 8)), text.data(), text.size());
  }

  void describe(std::uint64_t id, std::uint64_t begin, std::uint64_t next, std::uint64_t length,
                std::uint64_t state) {
    const VirtAddr descriptor = kDescriptors + id % kCount * 24;
    put(descriptor, id | state);
    put(descriptor + 8, begin);
    put(descriptor + 16, next);
    const VirtAddr info = kInfos + id % kCount * 112;
    put(info, id - 100);
    put(info + 8, 1000 * id);
    // Facility 1, flags newline, level 4.
    put(info + 16, length | 1ULL << 16U | (4ULL << 5U | 2U) << 24U | 0x8000'0002ULL << 32U);
  }

  /// "SEQUENCE TEXT" of each record.
  std::vector<std::string> texts() {
    const KernelLog log(*reader_, types_, symbols_);
    auto walk = log.walk();
    if (!walk) return {walk.error().text};
    std::vector<std::string> found;
    while (const auto one = walk->next()) {
      found.push_back(fmt::format("{} {}", one->info ? std::to_string(one->info->sequence) : "?",
                                  one->message.value_or("NULL")));
    }
    return found;
  }

  types::TypeDb types_ = ring_types();
  types::SymbolTable symbols_;
};

TEST_F(KernelLogTest, TheNewestRecordIsAmongThem) {
  range(100, 102);
  record(100, 0, 16, "one");
  record(101, 16, 32, "two");
  record(102, 32, 48, "three", kCommitted);
  EXPECT_THAT(texts(), ElementsAre("0 one", "1 two", "2 three"));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(KernelLogTest, TextsThatCrossAPageOrTheEndOfTheRing) {
  const std::string long_text(56, 'x');
  range(100, 103);
  record(100, 0x60, 0xa0, long_text);              // the page ends at 0x80
  record(101, 0xa0, 0x100, std::string(88, 'y'));  // ends with the ring
  record(102, 0x1e0, 0x240, "at the beginning");
  record(103, 0x248, 0x258, "next");
  EXPECT_THAT(texts(), ElementsAre("0 " + long_text, "1 " + std::string(88, 'y'),
                                   "2 at the beginning", "3 next"));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(KernelLogTest, RecordsWithoutText) {
  range(100, 103);
  describe(100, 3, 3, 0, kFinalized);
  describe(101, 1, 1, 0, kFinalized);
  describe(102, 0, 16, 3, kReusable);
  describe(103, 0, 16, 3, 0);  // reserved: being written
  EXPECT_THAT(texts(), ElementsAre("0 ", "1 NULL"));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(KernelLogTest, ADescriptorThatIsBeingTakenIsNoDamage) {
  range(100, 101);
  record(100, 0, 16, "one");
  describe(101 - kCount, 16, 32, 0, kReusable);
  EXPECT_THAT(texts(), ElementsAre("0 one"));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(KernelLogTest, WhatIsDamagedIsNullAndTheOthersAreThere) {
  range(100, 105);
  record(100, 0, 16, "one");
  record(101, 16, 32, "two");
  put(kText + 16, 7);  // the text of another record
  describe(102, 32, 40, 5, kFinalized);
  describe(103, 32, 5 * kTextSize, 5, kFinalized);
  describe(105, 48, 32, 5, kFinalized);
  put(kDescriptors + 104 % kCount * 24, 99 | kFinalized);
  EXPECT_THAT(texts(), ElementsAre("0 one", "1 NULL", "2 NULL", "3 NULL", "5 NULL"));
  EXPECT_THAT(diagnostics_.rows(), SizeIs(5));
}

TEST_F(KernelLogTest, MoreRecordsThanThereAreDescriptorsAreTheNewestOnes) {
  range(90, 107);
  for (std::uint64_t id = 100; id <= 107; ++id) record(id, (id - 100) * 16, (id - 99) * 16, "t");
  EXPECT_THAT(texts(), SizeIs(8));
  ASSERT_THAT(diagnostics_.rows(), SizeIs(1));
  EXPECT_THAT(diagnostics_.rows()[0].message, HasSubstr("18 records"));
}

TEST_F(KernelLogTest, NumbersGoOnBehindTheLastOne) {
  constexpr std::uint64_t kLast = (1ULL << 62U) - 1;
  range(kLast, 0);
  record(kLast, 0, 16, "last");
  record(0, 16, 32, "first");
  EXPECT_THAT(texts(), SizeIs(2));
  EXPECT_THAT(diagnostics_.rows(), IsEmpty());
}

TEST_F(KernelLogTest, WhatTheKernelNotes) {
  range(100, 100);
  record(100, 0, 16, "one");
  const VirtAddr info = kInfos + 100 % kCount * 112;
  put(info + 24, 77);  // caller_id2
  std::memcpy(bytes_.at(physical(info + 28)), "worker", 7);
  std::memcpy(bytes_.at(physical(info + 44)), "pci", 4);
  std::memcpy(bytes_.at(physical(info + 60)), "+pci:0000:00", 13);
  const KernelLog log(*reader_, types_, symbols_);
  const auto found = log.walk()->next();
  ASSERT_TRUE(found && found->info);
  const LogInfo& note = *found->info;
  EXPECT_EQ(note.timestamp, 100'000U);
  EXPECT_EQ(note.facility, 1U);
  EXPECT_EQ(note.flags, 2U);
  EXPECT_EQ(note.level, 4U);
  EXPECT_EQ(note.caller_id, 0x8000'0002U);
  EXPECT_EQ(note.cpu, 2U);
  EXPECT_EQ(note.pid, 77U);
  EXPECT_EQ(note.comm, "worker");
  EXPECT_EQ(note.subsystem, "pci");
  EXPECT_EQ(note.device, "+pci:0000:00");
}

TEST_F(KernelLogTest, AnImpossibleRingIsAnError) {
  put(kRing, 40);
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("2^40 descriptors")));
  put(kPrb, 0);
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("ring buffer")));
  symbols_ = {};
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("symbol prb")));
}

class KernelLogHoleTest : public KernelLogTest {
 protected:
  KernelLogHoleTest() : KernelLogTest(0x4000) {}
};

TEST_F(KernelLogHoleTest, ATextOfWhichAPageIsMissingIsNull) {
  range(100, 101);
  describe(100, 0x60, 0xa0, 56, kFinalized);
  put(kText + 0x60, 100);
  record(101, 0, 16, "whole");
  EXPECT_THAT(texts(), ElementsAre("0 NULL", "1 whole"));
  EXPECT_THAT(diagnostics_.rows(), SizeIs(1));
}

}  // namespace
}  // namespace engram::kernel
