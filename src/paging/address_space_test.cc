// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/address_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include "paging/test_memory.h"

namespace engram::paging {

bool operator==(const Translation& a, const Translation& b) {
  return a.physical == b.physical && a.page_size == b.page_size && a.access == b.access;
}
bool operator==(const Fault& a, const Fault& b) {
  return a.address == b.address && a.reason == b.reason && a.level == b.level &&
         a.entry_address == b.entry_address && a.entry == b.entry;
}
void PrintTo(const Result<Translation, Fault>& result, std::ostream* out) {
  if (!result) {
    *out << to_string(result.error());
    return;
  }
  *out << fmt::format("physical {:#x}, page {:#x}, w{} x{} u{}", result->physical.value,
                      result->page_size, result->access.writable, result->access.executable,
                      result->access.user);
}

namespace {

using testing::kP;
using testing::kPs;
using testing::kRw;
using testing::kUs;
using testing::kXd;
using testing::TestMemory;
using Found = Result<Translation, Fault>;

constexpr std::uint64_t kAllRights = kP | kRw | kUs;

Mode levels(unsigned count) {
  return {Architecture::x86_64, count};
}

std::uint64_t bits(std::uint64_t value, unsigned high, unsigned low) {
  return value << (63 - high) >> (63 - high + low);
}

// The slow twin: the text of SDM volume 3, 4.5.4, one paragraph after the other.
class Sdm {
 public:
  Sdm(const guest::Memory& memory, unsigned level_count, std::uint64_t cr3)
      : memory_(memory), level_count_(level_count), cr3_(cr3) {}

  [[nodiscard]] Found translate(std::uint64_t linear) {
    linear_ = linear;
    rights_ = {true, true, true};
    const std::uint64_t top = level_count_ == 5 ? bits(linear, 63, 56) : bits(linear, 63, 47);
    const std::uint64_t all_ones = level_count_ == 5 ? 0xff : 0x1ffff;
    if (top != 0 && top != all_ones) return failed(Reason::non_canonical, 0);

    std::uint64_t table = bits(cr3_, 51, 12) << 12;
    if (level_count_ == 5) {
      if (auto fault = look(5, table + 8 * bits(linear, 56, 48))) return tl::unexpected(*fault);
      if (bits(entry_, 7, 7) != 0) return failed(Reason::reserved_bits, 5);
      table = bits(entry_, 51, 12) << 12;
    }
    if (auto fault = look(4, table + 8 * bits(linear, 47, 39))) return tl::unexpected(*fault);
    if (bits(entry_, 7, 7) != 0) return failed(Reason::reserved_bits, 4);
    table = bits(entry_, 51, 12) << 12;

    if (auto fault = look(3, table + 8 * bits(linear, 38, 30))) return tl::unexpected(*fault);
    if (bits(entry_, 7, 7) != 0) {
      if (bits(entry_, 29, 13) != 0) return failed(Reason::reserved_bits, 3);
      return page(bits(entry_, 51, 30) << 30 | bits(linear, 29, 0), kGiB);
    }
    table = bits(entry_, 51, 12) << 12;

    if (auto fault = look(2, table + 8 * bits(linear, 29, 21))) return tl::unexpected(*fault);
    if (bits(entry_, 7, 7) != 0) {
      if (bits(entry_, 20, 13) != 0) return failed(Reason::reserved_bits, 2);
      return page(bits(entry_, 51, 21) << 21 | bits(linear, 20, 0), 2 * kMiB);
    }
    table = bits(entry_, 51, 12) << 12;

    if (auto fault = look(1, table + 8 * bits(linear, 20, 12))) return tl::unexpected(*fault);
    return page(bits(entry_, 51, 12) << 12 | bits(linear, 11, 0), 4096);
  }

 private:
  std::optional<Fault> look(unsigned level, std::uint64_t at) {
    at_ = at;
    entry_ = 0;
    std::array<std::byte, 8> raw{};
    const guest::MemoryErrc stop = memory_.read(PhysAddr(at), raw).stop;
    if (stop == guest::MemoryErrc::invalid_guest_address) {
      return failed(Reason::table_absent, level).value();
    }
    if (stop == guest::MemoryErrc::source_truncated) {
      return failed(Reason::table_unreadable, level).value();
    }
    for (unsigned i = 0; i < 8; ++i) entry_ |= std::to_integer<std::uint64_t>(raw[i]) << (8 * i);
    if (bits(entry_, 0, 0) == 0) return failed(Reason::not_present, level).value();
    if (bits(entry_, 1, 1) == 0) rights_.writable = false;
    if (bits(entry_, 2, 2) == 0) rights_.user = false;
    if (bits(entry_, 63, 63) != 0) rights_.executable = false;
    return std::nullopt;
  }

  [[nodiscard]] tl::unexpected<Fault> failed(Reason reason, unsigned level) const {
    if (level == 0) return tl::unexpected(Fault{VirtAddr(linear_), reason, 0, {}, 0});
    return tl::unexpected(Fault{VirtAddr(linear_), reason, level, PhysAddr(at_), entry_});
  }
  [[nodiscard]] Found page(std::uint64_t physical, std::uint64_t size) const {
    return Translation{PhysAddr(physical), size, rights_};
  }

  const guest::Memory& memory_;
  unsigned level_count_;
  std::uint64_t cr3_;
  std::uint64_t linear_ = 0;
  std::uint64_t at_ = 0;
  std::uint64_t entry_ = 0;
  Access rights_;
};

/// Tables of random entries in a few frames: shared, pointing at themselves, outside the image.
class RandomTables {
 public:
  static constexpr std::uint64_t kFrames = 24;  ///< that are in the image
  static constexpr std::array<std::uint64_t, 6> kIndexes{0, 1, 255, 256, 510, 511};

  RandomTables(unsigned seed, unsigned level_count)
      : random_(seed), level_count_(level_count), bytes_((kFrames + 2) * kPageSize) {
    for (std::uint64_t frame = 0; frame < kFrames; ++frame) {
      for (const std::uint64_t index : kIndexes) {
        bytes_.put(PhysAddr(frame * kPageSize + index * 8), entry());
      }
    }
  }

  /// The frame after the last is cut off, the one after that is absent.
  guest::Memory memory() {
    return bytes_.memory(
        {{{}, kFrames * kPageSize},
         {PhysAddr(kFrames * kPageSize), kPageSize, guest::Backing::unreadable, nullptr}});
  }

  std::uint64_t cr3() { return below(kFrames) * kPageSize | (random_() & 0x6000'0000'0000'0fff); }

  std::uint64_t address() {
    std::uint64_t value = 0;
    for (unsigned level = level_count_; level > 0; --level) {
      value = value << 9 | (chance(8) ? below(512) : kIndexes[below(kIndexes.size())]);
    }
    value = value << 12 | (chance(4) ? below(2) * 4095 : below(4096));
    const unsigned width = 12 + 9 * level_count_;
    if (bits(value, width - 1, width - 1) != 0) value |= ~0ULL << width;
    if (chance(10)) value ^= 1ULL << (width - 1 + below(64 - width + 1));  // not canonical
    return value;
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool chance(std::uint64_t one_in) { return below(one_in) == 0; }

  std::uint64_t entry() {
    std::uint64_t value = below(kFrames + 2) * kPageSize;
    value |= random_() & (0xfff0'0000'0000'0000 | 0xf78);  // ignored bits, PCD, PWT, A, D, NX
    value |= chance(10) ? 0 : kP;
    value |= (chance(3) ? 0 : kRw) | (chance(3) ? 0 : kUs);
    if (chance(2)) value &= ~kXd;
    if (chance(5)) value = large(value);
    return value;
  }

  /// Looks like a large page: of 2 MiB, of 1 GiB, with PAT, or with reserved bits set.
  std::uint64_t large(std::uint64_t value) {
    value = (value & ~0x000f'ffff'ffff'f000ULL) | kPs | below(1U << 20U) << 30;
    if (chance(2)) value |= below(512) << 21;
    if (chance(2)) value |= 1U << 12U;
    if (chance(4)) value |= 1ULL << (13 + below(17));
    return value;
  }

  std::mt19937_64 random_;
  unsigned level_count_;
  TestMemory bytes_;
};

TEST(AddressSpace, AgreesWithTheSdmOnRandomTables) {
  std::array<unsigned, static_cast<std::size_t>(Reason::piece_unreadable) + 1> reasons{};
  std::array<unsigned, 3> sizes{};
  for (unsigned seed = 0; seed < 60; ++seed) {
    const unsigned count = 4 + seed % 2;
    RandomTables tables(seed, count);
    const guest::Memory memory = tables.memory();
    const std::uint64_t cr3 = tables.cr3();
    Sdm sdm(memory, count, cr3);
    const AddressSpace cached(memory, levels(count), PhysAddr(cr3));
    const AddressSpace uncached(memory, levels(count), PhysAddr(cr3), false);
    for (unsigned i = 0; i < 5000; ++i) {
      const std::uint64_t address = tables.address();
      const Found expected = sdm.translate(address);
      ASSERT_EQ(uncached.translate(VirtAddr(address)), expected);
      ASSERT_EQ(cached.translate(VirtAddr(address)), expected) << "first time";
      ASSERT_EQ(cached.translate(VirtAddr(address)), expected) << "from the cache";
      ASSERT_EQ(walk(memory, levels(count), PhysAddr(cr3), VirtAddr(address)), expected);
      if (!expected)
        ++reasons[static_cast<std::size_t>(expected.error().reason)];
      else
        ++sizes[expected->page_size == 4096 ? 0 : expected->page_size == 2 * kMiB ? 1 : 2];
    }
  }
  // Every answer that translate() can give has been compared.
  for (const Reason reason : {Reason::non_canonical, Reason::not_present, Reason::reserved_bits,
                              Reason::table_absent, Reason::table_unreadable}) {
    EXPECT_GT(reasons[static_cast<std::size_t>(reason)], 100U) << static_cast<int>(reason);
  }
  EXPECT_THAT(sizes, ::testing::Each(::testing::Gt(100U)));
}

TEST(AddressSpace, KnowsTheBordersOfCanonicalAddresses) {
  TestMemory bytes(kPageSize * 4);
  const guest::Memory memory = bytes.memory();
  const auto reason = [&](unsigned count, std::uint64_t address) {
    return walk(memory, levels(count), PhysAddr(kPageSize), VirtAddr(address)).error().reason;
  };
  EXPECT_EQ(reason(4, 0x0000'7fff'ffff'ffff), Reason::not_present);
  EXPECT_EQ(reason(4, 0x0000'8000'0000'0000), Reason::non_canonical);
  EXPECT_EQ(reason(4, 0xffff'7fff'ffff'ffff), Reason::non_canonical);
  EXPECT_EQ(reason(4, 0xffff'8000'0000'0000), Reason::not_present);
  EXPECT_EQ(reason(5, 0x00ff'ffff'ffff'ffff), Reason::not_present);
  EXPECT_EQ(reason(5, 0x0100'0000'0000'0000), Reason::non_canonical);
  EXPECT_EQ(reason(5, 0xfeff'ffff'ffff'ffff), Reason::non_canonical);
  EXPECT_EQ(reason(5, 0xff00'0000'0000'0000), Reason::not_present);
}

TEST(AddressSpace, GivesTheMostRestrictiveRightsOfAllLevels) {
  for (unsigned level = 1; level <= 4; ++level) {
    TestMemory bytes(kPageSize * 16);
    const PhysAddr root = bytes.new_table();
    const VirtAddr address(0x1234'5678'9000);
    bytes.map(root, 4, address, PhysAddr(kPageSize * 9), kPageSize, kAllRights);
    const guest::Memory memory = bytes.memory();
    const auto rights = [&] { return walk(memory, levels(4), root, address).value().access; };
    EXPECT_EQ(rights(), (Access{true, true, true}));

    PhysAddr entry = root + (address.value >> 39 & 511) * 8;
    for (unsigned at = 4; at > level; --at) {
      entry = PhysAddr(align_down(bytes.get(entry), kPageSize)) +
              (address.value >> (12 + 9 * (at - 2)) & 511) * 8;
    }
    const std::uint64_t all = bytes.get(entry);
    bytes.put(entry, all & ~kRw);
    EXPECT_EQ(rights(), (Access{false, true, true})) << "level " << level;
    bytes.put(entry, all & ~kUs);
    EXPECT_EQ(rights(), (Access{true, true, false})) << "level " << level;
    bytes.put(entry, all | kXd);
    EXPECT_EQ(rights(), (Access{true, false, true})) << "level " << level;
  }
}

TEST(AddressSpace, CachesAPageAndItsNeighbourWithTheirOwnRights) {
  TestMemory bytes(kPageSize * 16);
  const PhysAddr root = bytes.new_table();
  bytes.map(root, 4, VirtAddr(0x1000), PhysAddr(0x9000), kPageSize, kP | kXd);
  bytes.map(root, 4, VirtAddr(0x2000), PhysAddr(0xa000), kPageSize, kAllRights);
  const guest::Memory memory = bytes.memory();
  const AddressSpace space(memory, levels(4), root);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(space.translate(VirtAddr(0x1008)),
              Found(Translation{PhysAddr(0x9008), kPageSize, {false, false, false}}));
    EXPECT_EQ(space.translate(VirtAddr(0x2008)),
              Found(Translation{PhysAddr(0xa008), kPageSize, {true, true, true}}));
  }
}

TEST(AddressSpace, AnswersEveryAddressOfAnUnknownModeWithAFault) {
  TestMemory bytes(kPageSize * 4);
  const guest::Memory memory = bytes.memory();
  for (const Mode mode : {Mode{Architecture::unknown, 4}, Mode{Architecture::x86_64, 3},
                          Mode{Architecture::x86_64, 0}}) {
    const AddressSpace space(memory, mode, PhysAddr(kPageSize));
    EXPECT_EQ(space.translate(VirtAddr(0x1000)).error().reason, Reason::non_canonical);
    EXPECT_FALSE(space.load<int>(VirtAddr(0)));
    EXPECT_EQ(space.for_each_mapping(VirtAddr(0), VirtAddr(~0ULL), [](auto&) { return true; }), 0U);
    EXPECT_FALSE(find_root(memory, mode, VirtAddr(0), PhysAddr(0), [](PhysAddr) { return true; }));
  }
}

TEST(AddressSpace, SaysWhyItFailed) {
  const auto text = [](Reason reason, unsigned level, std::uint64_t entry) {
    return to_string({VirtAddr(0xffff'8880'0000'1000), reason, level, PhysAddr(0x1a3c7f8), entry});
  };
  EXPECT_EQ(text(Reason::not_present, 4, 0),
            "0xffff888000001000: page-table entry at 0x1a3c7f8, level 4, is not present (0x0)");
  EXPECT_EQ(text(Reason::reserved_bits, 3, 0x81),
            "0xffff888000001000: page-table entry at 0x1a3c7f8, level 3, has reserved bits set "
            "(0x81)");
  EXPECT_EQ(text(Reason::table_absent, 2, 0),
            "0xffff888000001000: page table of level 2 with the entry at 0x1a3c7f8 is not in the "
            "image");
  EXPECT_EQ(text(Reason::table_unreadable, 2, 0),
            "0xffff888000001000: page table of level 2 with the entry at 0x1a3c7f8 is not readable "
            "(the image file is cut or failing)");
  EXPECT_EQ(text(Reason::page_absent, 0, 0),
            "0xffff888000001000: physical address 0x1a3c7f8 is not in the image");
  EXPECT_EQ(text(Reason::page_unreadable, 0, 0),
            "0xffff888000001000: physical address 0x1a3c7f8 is not readable (the image file is cut "
            "or failing)");
  EXPECT_EQ(text(Reason::non_canonical, 0, 0),
            "0xffff888000001000: not an address of this paging mode");
}

TEST(AddressSpace, GivesTheSameAnswersToManyThreads) {
  // 4096 small pages, twice the slots of the cache: threads evict each other's pages all the time.
  constexpr std::uint64_t kPages = 4096;
  TestMemory bytes(kPageSize * 32);
  const PhysAddr root = bytes.new_table();
  const auto physical = [](std::uint64_t page) { return PhysAddr((page * 7919 % 65536) << 12); };
  for (std::uint64_t page = 0; page < kPages; ++page) {
    bytes.map(root, 4, VirtAddr(page * kPageSize), physical(page), kPageSize,
              kP | (page % 3 == 0 ? kRw : 0));
  }
  const guest::Memory memory = bytes.memory();
  const AddressSpace space(memory, levels(4), root);
  std::array<std::uint64_t, 4> wrong{};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < wrong.size(); ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random(thread);
      for (unsigned i = 0; i < 200'000; ++i) {
        const std::uint64_t page = random() % kPages;
        const auto found = space.translate(VirtAddr(page * kPageSize + 5));
        if (!found || found->physical != physical(page) + 5 ||
            found->access.writable != (page % 3 == 0)) {
          ++wrong[thread];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0U));
}

}  // namespace
}  // namespace engram::paging
