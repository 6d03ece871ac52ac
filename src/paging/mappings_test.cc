// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// AddressSpace::for_each_mapping().

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "paging/address_space.h"
#include "paging/test_memory.h"

namespace engram::paging {

bool operator==(const Mapping& a, const Mapping& b) {
  return a.start == b.start && a.physical == b.physical && a.size == b.size &&
         a.page_size == b.page_size && a.access == b.access;
}
void PrintTo(const Mapping& mapping, std::ostream* out) {
  *out << fmt::format("{:#x} -> {:#x}, size {:#x}, page {:#x}, w{} x{} u{}", mapping.start.value,
                      mapping.physical.value, mapping.size, mapping.page_size,
                      mapping.access.writable, mapping.access.executable, mapping.access.user);
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kP;
using testing::kPs;
using testing::kRw;
using testing::kUs;
using testing::kXd;
using testing::TestMemory;

constexpr Mode kFourLevels{Architecture::x86_64, 4};
constexpr VirtAddr kLast(~0ULL);

struct Listing {
  std::vector<Mapping> mappings;
  std::uint64_t skipped = 0;
};

Listing list(const guest::Memory& memory, PhysAddr root, VirtAddr first = {}, VirtAddr last = kLast,
             Mode mode = kFourLevels) {
  Listing listing;
  listing.skipped = AddressSpace(memory, mode, root, false)
                        .for_each_mapping(first, last, [&](const Mapping& mapping) {
                          listing.mappings.push_back(mapping);
                          return true;
                        });
  return listing;
}

constexpr Access kReadOnly{.writable = false, .executable = true, .user = false};
constexpr Access kWritable{.writable = true, .executable = true, .user = false};

Mapping small(std::uint64_t start, std::uint64_t physical, std::uint64_t size,
              Access access = kReadOnly) {
  return {VirtAddr(start), PhysAddr(physical), size, kPageSize, access};
}

class Mappings : public ::testing::Test {
 protected:
  void map(std::uint64_t address, std::uint64_t physical, std::uint64_t flags = kP,
           std::uint64_t page_size = kPageSize) {
    bytes_.map(root_, 4, VirtAddr(address), PhysAddr(physical), page_size, flags);
  }

  TestMemory bytes_{32 * kPageSize};
  PhysAddr root_ = bytes_.new_table();
};

TEST_F(Mappings, MergesWhatContinuesInBothSpaces) {
  map(0x1000, 0x9000);
  map(0x2000, 0xa000);
  map(0x3000, 0xc000);            // a gap in physical memory
  map(0x5000, 0xd000);            // a gap in virtual memory
  map(0x6000, 0xe000, kP | kRw);  // other rights
  map(0x7000, 0xf000, kP | kRw);
  map(0x1f'f000, 0x3f'f000);  // continues in another table
  map(0x20'0000, 0x40'0000);
  map(0x20'1000, 0x40'1000, kP | kXd);
  EXPECT_THAT(list(bytes_.memory(), root_).mappings,
              ElementsAre(small(0x1000, 0x9000, 0x2000), small(0x3000, 0xc000, 0x1000),
                          small(0x5000, 0xd000, 0x1000), small(0x6000, 0xe000, 0x2000, kWritable),
                          small(0x1f'f000, 0x3f'f000, 0x2000),
                          small(0x20'1000, 0x40'1000, 0x1000, {false, false, false})));
}

TEST_F(Mappings, KeepsPageSizesApart) {
  map(0x1f'f000, 0x1f'f000);
  map(0x20'0000, 0x20'0000, kP, 2 * kMiB);
  map(0x40'0000, 0x40'0000, kP, 2 * kMiB);
  map(kGiB, kGiB, kP, kGiB);
  EXPECT_THAT(
      list(bytes_.memory(), root_).mappings,
      ElementsAre(small(0x1f'f000, 0x1f'f000, 0x1000),
                  Mapping{VirtAddr(0x20'0000), PhysAddr(0x20'0000), 4 * kMiB, 2 * kMiB, kReadOnly},
                  Mapping{VirtAddr(kGiB), PhysAddr(kGiB), kGiB, kGiB, kReadOnly}));
}

TEST_F(Mappings, ClipsToTheRange) {
  map(0x1000, 0x9000);
  map(0x2000, 0xa000);
  map(0x20'0000, 0x20'0000, kP, 2 * kMiB);
  const guest::Memory memory = bytes_.memory();
  const auto in = [&](std::uint64_t first, std::uint64_t last) {
    return list(memory, root_, VirtAddr(first), VirtAddr(last)).mappings;
  };
  EXPECT_THAT(in(0x1800, 0x27ff), ElementsAre(small(0x1800, 0x9800, 0x1000)));
  EXPECT_THAT(in(0x2fff, 0x3000), ElementsAre(small(0x2fff, 0xafff, 1)));
  EXPECT_THAT(in(0x3000, 0x1f'ffff), IsEmpty());
  EXPECT_THAT(
      in(0x30'0001, 0x30'0010),
      ElementsAre(Mapping{VirtAddr(0x30'0001), PhysAddr(0x30'0001), 16, 2 * kMiB, kReadOnly}));
  EXPECT_THAT(in(0x2000, 0x1000), IsEmpty());
}

TEST_F(Mappings, ListsBothEndsOfTheSpace) {
  map(0, 0x9000);
  map(0x7fff'ffff'f000, 0xa000);
  map(0xffff'8000'0000'0000, 0xb000);
  map(0xffff'ffff'ffff'f000, 0xc000);
  const guest::Memory memory = bytes_.memory();
  const Mapping low = small(0, 0x9000, 0x1000);
  const Mapping low_end = small(0x7fff'ffff'f000, 0xa000, 0x1000);
  const Mapping high = small(0xffff'8000'0000'0000, 0xb000, 0x1000);
  const Mapping high_end = small(0xffff'ffff'ffff'f000, 0xc000, 0x1000);
  EXPECT_THAT(list(memory, root_).mappings, ElementsAre(low, low_end, high, high_end));
  // Borders that are not canonical addresses themselves.
  EXPECT_THAT(list(memory, root_, VirtAddr(1ULL << 60U), kLast).mappings,
              ElementsAre(high, high_end));
  EXPECT_THAT(list(memory, root_, VirtAddr(0), VirtAddr(1ULL << 60U)).mappings,
              ElementsAre(low, low_end));
}

TEST_F(Mappings, StopsWhenToldTo) {
  for (std::uint64_t page = 1; page < 9; ++page) map(page * 0x2000, page * kPageSize);
  const guest::Memory memory = bytes_.memory();
  for (const unsigned wanted : {1U, 3U, 8U}) {
    unsigned seen = 0;
    AddressSpace(memory, kFourLevels, root_)
        .for_each_mapping(VirtAddr(0), kLast, [&](const Mapping&) { return ++seen < wanted; });
    EXPECT_EQ(seen, wanted);
  }
}

TEST_F(Mappings, SkipsAndCountsWhatCannotBeFollowed) {
  map(0x1000, 0x9000);
  map(0x40'0000, 0xa000);
  const PhysAddr middle(
      align_down(bytes_.get(PhysAddr(align_down(bytes_.get(root_), kPageSize))), kPageSize));
  bytes_.put(middle + 8, 0x7777'7000 | kP);           // a table outside the image
  bytes_.put(middle + 16ULL * 8, 0x2000 | kP | kPs);  // reserved bits
  bytes_.put(root_ + 7ULL * 8, kP | kPs);             // reserved bit
  bytes_.put(root_ + 8ULL * 8, 0x1234'5678'9000);     // not present: nothing is wrong with it
  const Listing listing = list(bytes_.memory(), root_);
  EXPECT_THAT(listing.mappings,
              ElementsAre(small(0x1000, 0x9000, 0x1000), small(0x40'0000, 0xa000, 0x1000)));
  EXPECT_EQ(listing.skipped, 3U);
}

TEST_F(Mappings, UsesThePartOfATableThatTheImageHas) {
  map(0x1000, 0x9000);
  map(0x1f'f000, 0xa000);
  map(0x40'0000, 0xb000);
  const PhysAddr middle(
      align_down(bytes_.get(PhysAddr(align_down(bytes_.get(root_), kPageSize))), kPageSize));
  const PhysAddr table(align_down(bytes_.get(middle), kPageSize));
  const guest::Memory memory = bytes_.memory(
      {{{}, table.value + 100}, {table + kPageSize, bytes_.size() - table.value - kPageSize}});
  const Listing listing = list(memory, root_);
  EXPECT_THAT(listing.mappings,
              ElementsAre(small(0x1000, 0x9000, 0x1000), small(0x40'0000, 0xb000, 0x1000)));
  EXPECT_EQ(listing.skipped, 1U);
  EXPECT_EQ(list(memory, PhysAddr(1ULL << 40U)).skipped, 2U) << "no root, for either half";
}

TEST_F(Mappings, EndsOnTablesThatPointAtThemselves) {
  // The hostile worst case: 512^4 pages by one frame.
  for (std::uint64_t entry = 0; entry < 512; ++entry)
    bytes_.put(root_ + entry * 8, root_.value | kP);
  const Listing listing = list(bytes_.memory(), root_);
  EXPECT_EQ(listing.mappings.size(), AddressSpace::kShareLimit * 512);
  EXPECT_EQ(listing.skipped, 0U) << "aliases are no damage";
}

TEST_F(Mappings, ListsTheTablesOfARecursiveEntry) {
  // As Windows maps its page tables: one entry of the root points at the root.
  map(0x1000, 0x9000);
  bytes_.put(root_ + 256ULL * 8, root_.value | kP | kRw);
  const Listing listing = list(bytes_.memory(), root_);
  const AddressSpace space(bytes_.memory(), kFourLevels, root_);
  // The root by its own entry four times, and on the way to it the three tables of the page.
  std::vector<PhysAddr> tables;
  for (const Mapping& mapping : listing.mappings) {
    if (mapping.start >= VirtAddr(0xffff'8000'0000'0000)) tables.push_back(mapping.physical);
  }
  EXPECT_THAT(tables,
              ElementsAre(root_ + 3 * kPageSize, root_ + 2 * kPageSize, root_ + kPageSize, root_));
}

/// A tree of random tables; every entry in use stands at one of a few indexes.
class RandomTree {
 public:
  static constexpr std::array<std::uint64_t, 5> kIndexes{0, 1, 2, 256, 511};

  RandomTree(unsigned seed, unsigned levels) : random_(seed), levels_(levels) {
    fill(root_, levels);
  }

  guest::Memory memory() { return bytes_.memory(); }
  [[nodiscard]] PhysAddr root() const { return root_; }

  /// Calls `visit` for one address in each 4 KiB page whose indexes are all in kIndexes.
  template <class Visit>
  void for_each_page(Visit visit) const {
    std::uint64_t count = 1;
    for (unsigned level = 0; level < levels_; ++level) count *= kIndexes.size();
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t rest = i;
      std::uint64_t address = 0;
      for (unsigned level = 0; level < levels_; ++level, rest /= kIndexes.size()) {
        address |= kIndexes[rest % kIndexes.size()] << (12 + 9 * level);
      }
      const std::uint64_t sign = 1ULL << (11 + 9 * levels_);
      visit(VirtAddr((address ^ sign) - sign));
    }
  }

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }

  void fill(PhysAddr table, unsigned level) {
    for (const std::uint64_t index : kIndexes) {
      if (chance(8)) continue;
      std::uint64_t entry =
          (chance(6) ? 0 : kP) | (chance(4) ? 0 : kRw) | kUs | (chance(4) ? kXd : 0);
      if (level == 1) {
        entry |= (16 + index % 4) * kPageSize;  // often continues the page before it
      } else if (level <= 3 && chance(4)) {
        entry |= kPs | index << (12 + 9 * (level - 1)) | (chance(9) ? 1U << 14U : 0);
      } else {
        const PhysAddr next = bytes_.new_table();
        entry |= next.value;
        if (next.value + kPageSize > bytes_.size()) continue;
        fill(next, level - 1);
      }
      bytes_.put(table + index * 8, entry);
    }
  }

  std::mt19937_64 random_;
  unsigned levels_;
  TestMemory bytes_{1024 * kPageSize};
  PhysAddr root_ = bytes_.new_table();
};

TEST(MappingsOfRandomTables, AreTheTranslationsOfEveryPage) {
  std::size_t pages = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const unsigned levels = 4 + seed % 2;
    RandomTree tree(seed, levels);
    const guest::Memory memory = tree.memory();
    const Mode mode{Architecture::x86_64, levels};
    const AddressSpace space(memory, mode, tree.root(), false);
    std::mt19937_64 random(seed);
    const VirtAddr first(seed % 4 == 0 ? 0 : random());
    const VirtAddr last(seed % 4 == 0 ? ~0ULL : first.value + random() % (~first.value));
    const std::vector<Mapping> mappings = list(memory, tree.root(), first, last, mode).mappings;

    for (std::size_t i = 1; i < mappings.size(); ++i) {
      ASSERT_LE(mappings[i - 1].start + mappings[i - 1].size, mappings[i].start) << "in order";
    }
    tree.for_each_page([&](VirtAddr address) {
      const auto expected = space.translate(address);
      const auto after = std::upper_bound(mappings.begin(), mappings.end(), address,
                                          [](VirtAddr a, const Mapping& m) { return a < m.start; });
      const bool listed =
          after != mappings.begin() && address - (after - 1)->start < (after - 1)->size;
      ASSERT_EQ(listed, expected && address >= first && address <= last)
          << std::hex << address.value;
      if (!listed) return;
      const Mapping& mapping = *(after - 1);
      ASSERT_EQ(mapping.physical + (address - mapping.start), expected->physical);
      ASSERT_EQ(mapping.page_size, expected->page_size);
      ASSERT_EQ(mapping.access, expected->access);
      ++pages;
    });
  }
  EXPECT_GT(pages, 1000U);
}

}  // namespace
}  // namespace engram::paging
