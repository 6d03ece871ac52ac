// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/arm64.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::TestMemory;

// Bits of a descriptor, as the manual names them.
constexpr std::uint64_t kValid = 1, kTable = 2, kAp1 = 1U << 6U, kAp2 = 1U << 7U, kAf = 1U << 10U;
constexpr std::uint64_t kDbm = 1ULL << 51U, kContiguous = 1ULL << 52U, kPxn = 1ULL << 53U,
                        kUxn = 1ULL << 54U;
constexpr std::uint64_t kPage = kValid | kTable;
constexpr std::uint64_t kTableSize = 64 * kKiB;  // room for a table of any kind

/// Tables made by the manual's arithmetic alone.
class Tables {
 public:
  Tables(unsigned page_bits, unsigned address_bits)
      : mode_(arm64_mode(page_bits, address_bits)), memory_(32 * kTableSize) {}

  [[nodiscard]] unsigned levels() const {
    const unsigned index_bits = mode_.page_bits - 3;
    return (mode_.address_bits - mode_.page_bits + index_bits - 1) / index_bits;
  }
  [[nodiscard]] unsigned shift(unsigned level) const {
    return mode_.page_bits + (mode_.page_bits - 3) * (level - 1);
  }
  PhysAddr new_table() { return PhysAddr(kTableSize * next_table_++); }

  /// Where the entry of this level for the address is, with the tables on the way to it.
  PhysAddr entry(PhysAddr root, VirtAddr address, unsigned level) {
    PhysAddr table = root;
    const std::uint64_t inside = address.value & ((std::uint64_t{1} << mode_.address_bits) - 1);
    for (unsigned at = levels();; --at) {
      const std::uint64_t entries =
          at == levels() ? ~std::uint64_t{0} : (std::uint64_t{1} << (mode_.page_bits - 3)) - 1;
      const PhysAddr place = table + (inside >> shift(at) & entries) * 8;
      if (at == level) return place;
      if (memory_.get(place) == 0) memory_.put(place, new_table().value | kPage);
      table = PhysAddr(memory_.get(place) & 0x0000'ffff'ffff'0000);
    }
  }
  void map(PhysAddr root, VirtAddr address, unsigned level, std::uint64_t descriptor) {
    memory_.put(entry(root, address, level), descriptor);
  }

  [[nodiscard]] Mode mode() const { return mode_; }
  TestMemory& memory() { return memory_; }

 private:
  Mode mode_;
  TestMemory memory_;
  std::uint64_t next_table_ = 1;
};

class Arm64 : public ::testing::TestWithParam<std::tuple<unsigned, unsigned>> {
 protected:
  Arm64() : tables_(std::get<0>(GetParam()), std::get<1>(GetParam())), root_(tables_.new_table()) {}

  [[nodiscard]] Mode mode() const { return tables_.mode(); }
  [[nodiscard]] bool is_wide() const { return mode().address_bits > 48; }
  [[nodiscard]] unsigned highest_block() const {
    return (mode().page_bits == 12 ? 3U : 2U) + (is_wide() ? 1U : 0U);
  }
  [[nodiscard]] std::uint64_t span(unsigned level) const {
    return std::uint64_t{1} << tables_.shift(level);
  }
  /// At each end of the space, with all index bits in use.
  [[nodiscard]] std::vector<VirtAddr> addresses() const {
    const std::uint64_t inside = 0x000a'5a5a'5a5a'5123 & ((1ULL << mode().address_bits) - 1);
    return {VirtAddr(inside), VirtAddr(inside | ~((1ULL << mode().address_bits) - 1))};
  }

  Tables tables_;
  PhysAddr root_;
};

TEST_P(Arm64, HasTheLevelsOfItsWidth) {
  EXPECT_EQ(mode().levels, tables_.levels());
  EXPECT_LE(mode().levels, kMaxLevels);
}

TEST_P(Arm64, PagesAndBlocksOfAllLevels) {
  for (const VirtAddr address : addresses()) {
    for (unsigned level = 1; level <= std::min(highest_block(), mode().levels); ++level) {
      Tables tables(mode().page_bits, mode().address_bits);
      const PhysAddr root = tables.new_table();
      const PhysAddr page(span(level) * 3);
      tables.map(root, address, level,
                 page.value | kValid | (level == 1 ? kTable : 0) | kContiguous);
      const guest::Memory memory = tables.memory().memory();
      const AddressSpace space(memory, mode(), root);
      for (int i = 0; i < 2; ++i) {  // the second time from the cache
        const auto found = space.translate(address);
        ASSERT_TRUE(found) << to_string(found.error());
        EXPECT_EQ(found->physical, page + (address.value & (span(level) - 1))) << level;
        EXPECT_EQ(found->page_size, span(level));
      }
      std::vector<Mapping> all;
      const auto skipped =
          space.for_each_mapping(VirtAddr(0), VirtAddr(~0ULL), [&](const Mapping& mapping) {
            all.push_back(mapping);
            return true;
          });
      EXPECT_EQ(skipped, 0U);
      // One root serves both ends here.
      ASSERT_EQ(all.size(), 2U);
      for (const Mapping& mapping : all) {
        EXPECT_EQ(mapping.physical, page);
        EXPECT_EQ(mapping.size, span(level));
      }
      EXPECT_EQ(all[address.value >> 63].start, VirtAddr(align_down(address.value, span(level))));
    }
  }
}

TEST_P(Arm64, AFaultAtEachLevel) {
  const VirtAddr address = addresses()[0];
  for (unsigned level = 1; level <= mode().levels; ++level) {
    for (const auto& [entry, reason] : std::vector<std::pair<std::uint64_t, Reason>>{
             {0, Reason::not_present},
             {0x1234'5678'9abc'defe, Reason::not_present},  // bit 0 is clear: all else is free
             {kValid, level == 1 || level > highest_block() ? Reason::reserved_bits
                                                            : Reason::page_absent}}) {
      Tables tables(mode().page_bits, mode().address_bits);
      const PhysAddr root = tables.new_table();
      const PhysAddr at = tables.entry(root, address, level);
      tables.memory().put(at, entry);
      const guest::Memory memory = tables.memory().memory();
      const auto found = walk(memory, mode(), root, address);
      if (reason == Reason::page_absent) {  // a block
        EXPECT_TRUE(found);
        continue;
      }
      ASSERT_FALSE(found) << level << ' ' << std::hex << entry;
      EXPECT_EQ(found.error().reason, reason);
      EXPECT_EQ(found.error().level, level);
      EXPECT_EQ(found.error().entry_address, at);
      EXPECT_EQ(found.error().entry, entry);
    }
    if (level == mode().levels) break;
    Tables tables(mode().page_bits, mode().address_bits);
    const PhysAddr root = tables.new_table();
    tables.map(root, address, level + 1, 0x7777'0000'0000 | kPage);
    const guest::Memory memory = tables.memory().memory();
    const auto lost = walk(memory, mode(), root, address);
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().reason, Reason::table_absent);
    EXPECT_EQ(lost.error().level, level);
  }
}

TEST_P(Arm64, AddressesBetweenTheEndsAreNone) {
  const guest::Memory memory = tables_.memory().memory();
  const AddressSpace space(memory, mode(), root_);
  const std::uint64_t end = 1ULL << mode().address_bits;
  const std::uint64_t upper = 0x0100'0000'0000'0000 - end;
  for (const std::uint64_t address : {end, upper - 1}) {
    const auto found = space.translate(VirtAddr(address));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().reason, Reason::non_canonical);
    EXPECT_EQ(space.last_alike(found.error()), VirtAddr(upper - 1));
  }
  EXPECT_EQ(space.translate(VirtAddr(end - 1)).error().reason, Reason::not_present);
  EXPECT_EQ(space.translate(VirtAddr(0 - end)).error().reason, Reason::not_present);
}

TEST_P(Arm64, TheUppermostByteIsATag) {
  for (const VirtAddr address : addresses()) {
    tables_.map(root_, address, 1, (span(1) * 5) | kPage);
    const guest::Memory memory = tables_.memory().memory();
    const AddressSpace space(memory, mode(), root_);
    const VirtAddr tagged(address.value ^ 0x5a00'0000'0000'0000);
    for (const VirtAddr each : {address, tagged}) {
      const auto found = space.translate(each);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->physical, PhysAddr(span(1) * 5 + (address.value & (span(1) - 1))));
    }
  }
}

TEST_P(Arm64, TablesThatLeadToThemselvesEnd) {
  // Every entry of the root leads to the root: what is behind the last level is reserved or a page.
  for (std::uint64_t i = 0; i < kTableSize / 8; ++i) {
    tables_.memory().put(root_ + i * 8, root_.value | kPage);
  }
  const guest::Memory memory = tables_.memory().memory();
  const AddressSpace space(memory, mode(), root_);
  const auto found = space.translate(addresses()[0]);
  ASSERT_TRUE(found);
  EXPECT_EQ(align_down(found->physical.value, span(1)), root_.value);
  std::uint64_t count = 0;
  (void)space.for_each_mapping(VirtAddr(0), VirtAddr(~0ULL), [&](const Mapping&) {
    ++count;
    return true;
  });
  EXPECT_LE(count, AddressSpace::kShareLimit * mode().levels * kTableSize);
}

INSTANTIATE_TEST_SUITE_P(Widths, Arm64,
                         ::testing::Values(std::tuple(12U, 36U), std::tuple(12U, 39U),
                                           std::tuple(12U, 48U), std::tuple(12U, 52U),
                                           std::tuple(14U, 36U), std::tuple(14U, 47U),
                                           std::tuple(14U, 48U), std::tuple(14U, 52U),
                                           std::tuple(16U, 36U), std::tuple(16U, 42U),
                                           std::tuple(16U, 48U), std::tuple(16U, 52U)));

Entry decode(unsigned page_bits, unsigned address_bits, std::uint64_t entry, unsigned level) {
  return find_arm64_format(page_bits, address_bits)->decode(entry, level);
}

TEST(Arm64Entry, Rights) {
  const auto access = [](std::uint64_t bits) {
    return decode(12, 48, kPage | kAf | bits, 1).access;
  };
  EXPECT_EQ(access(kPxn | kUxn), (Access{.writable = true, .executable = false, .user = false}));
  EXPECT_EQ(access(kUxn), (Access{.writable = true, .executable = true, .user = false}));
  EXPECT_EQ(access(kAp1 | kPxn), (Access{.writable = true, .executable = true, .user = true}));
  EXPECT_EQ(access(kAp1 | kAp2 | kPxn | kUxn),
            (Access{.writable = false, .executable = false, .user = true}));
  EXPECT_EQ(access(kAp2 | kDbm | kPxn | kUxn),
            (Access{.writable = true, .executable = false, .user = false}));
  // Without the access flag the page is there all the same.
  EXPECT_EQ(decode(12, 48, kPage, 1).kind, Entry::Kind::page);
}

TEST(Arm64Entry, RightsOfTables) {
  const auto access = [](std::uint64_t bits) { return decode(12, 48, kPage | bits, 2).access; };
  EXPECT_EQ(access(0), (Access{.writable = true, .executable = true, .user = true}));
  EXPECT_FALSE(access(1ULL << 61U).user);
  EXPECT_FALSE(access(1ULL << 62U).writable);
  EXPECT_FALSE(access(3ULL << 59U).executable);
  EXPECT_TRUE(access(1ULL << 59U).executable);
}

TEST(Arm64Entry, AddressesOf52Bits) {
  // Pages of 64 KiB: bits 15:12 are bits 51:48. Smaller ones: bits 9:8 are bits 51:50.
  EXPECT_EQ(decode(16, 48, 0x1234'5678'0000 | 0xa000 | kPage, 1).physical,
            PhysAddr(0x000a'1234'5678'0000));
  EXPECT_EQ(decode(12, 52, 0x0003'1234'5678'9000 | 0x200 | kPage, 1).physical,
            PhysAddr(0x000b'1234'5678'9000));
  EXPECT_EQ(decode(12, 48, 0x0003'1234'5678'9000 | 0x200 | kPage, 1).physical,
            PhysAddr(0x0000'1234'5678'9000));
}

TEST(Arm64Entry, WhatIsNoPartOfABlocksAddress) {
  EXPECT_EQ(decode(12, 48, 0x4020'0000 | 1U << 16U | kContiguous | kValid, 2).physical,
            PhysAddr(0x4020'0000));
}

TEST(Arm64Space, EachEndHasARootOfItsOwn) {
  Tables tables(12, 39);
  const PhysAddr lower = tables.new_table(), upper = tables.new_table();
  const VirtAddr low(0x12'3456'7000), high(0xffff'ff92'3456'7000);
  tables.map(lower, low, 1, 0x5000 | kPage);
  tables.map(upper, high, 1, 0x6000 | kPage);
  const guest::Memory memory = tables.memory().memory();
  // ASIDs and CnP are no part of a root's address.
  const AddressSpace space(memory, tables.mode(),
                           {PhysAddr(lower.value | 0x0042'0000'0000'0001), upper});
  EXPECT_EQ(space.root(), lower);
  EXPECT_EQ(space.translate(low + 8)->physical, PhysAddr(0x5008));
  EXPECT_EQ(space.translate(high + 8)->physical, PhysAddr(0x6008));
  EXPECT_FALSE(space.translate(VirtAddr(0x7f'ffff'f000)));
  std::vector<VirtAddr> starts;
  (void)space.for_each_mapping(VirtAddr(0), VirtAddr(~0ULL), [&](const Mapping& mapping) {
    starts.push_back(mapping.start);
    return true;
  });
  EXPECT_EQ(starts, (std::vector{low, high}));
}

TEST(Arm64Mode, WhatNoProcessorHas) {
  const guest::Memory memory = TestMemory(kPageSize).memory();
  for (const auto& [page_bits, address_bits] :
       std::vector<std::pair<unsigned, unsigned>>{{13, 48}, {12, 35}, {12, 49}, {16, 53}, {0, 0}}) {
    EXPECT_EQ(find_arm64_format(page_bits, address_bits), nullptr);
    const AddressSpace space(memory, arm64_mode(page_bits, address_bits), PhysAddr(0));
    EXPECT_EQ(space.translate(VirtAddr(0)).error().reason, Reason::non_canonical);
  }
  Mode mode = arm64_mode(12, 39);
  mode.levels = 4;
  EXPECT_EQ(find_format(mode), nullptr);
}

}  // namespace
}  // namespace engram::paging
