// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/symbols.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

namespace engram::types {
namespace {

struct Range {
  std::uint64_t start, end;
  std::uint16_t module;
};

struct Entry {
  std::string name;
  std::uint64_t address;
  std::uint16_t module;
};

/// The slow twin: every look-up reads the whole list.
struct List {
  std::vector<Entry> entries;
  std::vector<Range> ranges;

  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].name != name) continue;
      if (!best || (entries[*best].module != 0 && entries[i].module == 0)) best = i;
    }
    return best;
  }

  [[nodiscard]] std::optional<std::size_t> find(std::uint64_t address) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::uint64_t value = entries[i].address;
      if (value >> 63U == 0 || value > address) continue;
      if (!best || value > entries[*best].address) best = i;
    }
    if (!best) return std::nullopt;
    const Entry& entry = entries[*best];
    bool has_range = false;
    for (const Range& range : ranges) {
      has_range |= range.module == entry.module;
      if (address < range.start || address >= range.end) continue;
      if (range.module != entry.module || entry.address < range.start) return std::nullopt;
      return best;
    }
    if (has_range || address - entry.address >= SymbolTable::kReachWithoutRange)
      return std::nullopt;
    return best;
  }
};

constexpr std::uint64_t kBase = 0xffffffffc0000000;

List random_list(std::mt19937_64& random) {
  List list;
  const std::size_t modules = random() % 4;
  for (std::uint16_t module = 0; module <= modules; ++module) {
    const std::uint64_t area = kBase + std::uint64_t{module} * 0x40000;
    if (random() % 3 != 0) list.ranges.push_back({area, area + 0x8000, module});
    if (random() % 3 == 0) list.ranges.push_back({area + 0x10000, area + 0x12000, module});
    const std::size_t count = random() % 200;
    for (std::size_t i = 0; i < count; ++i) {
      // Few names and coarse addresses: many are shared, some are per-CPU offsets, some out of all
      // ranges.
      const std::string name = fmt::format("name_{}", random() % 80);
      const std::uint64_t address =
          random() % 20 == 0 ? random() % 0x1000 : area + random() % 0x500 * 64;
      list.entries.push_back({name, address, module});
    }
  }
  if (random() % 2 == 0) std::shuffle(list.entries.begin(), list.entries.end(), random);
  return list;
}

SymbolTable build(const List& list) {
  SymbolTable::Builder builder;
  for (std::uint16_t module = 1; module < 5; ++module) {
    EXPECT_EQ(builder.add_module(fmt::format("module{}", module)), module);
  }
  for (const Entry& entry : list.entries) {
    EXPECT_TRUE(builder.add(entry.name, VirtAddr(entry.address), 'T', entry.module));
  }
  for (const Range& range : list.ranges) {
    builder.add_range(VirtAddr(range.start), VirtAddr(range.end), range.module);
  }
  return std::move(builder).build();
}

std::optional<std::size_t> index_in(const SymbolTable& table, const Symbol* symbol) {
  if (symbol == nullptr) return std::nullopt;
  return static_cast<std::size_t>(symbol - table.symbols().data());
}

TEST(SymbolTable, AgreesWithItsSlowTwin) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const List list = random_list(random);
    const SymbolTable table = build(list);
    ASSERT_EQ(table.symbols().size(), list.entries.size());
    for (std::size_t i = 0; i < list.entries.size(); ++i) {
      EXPECT_EQ(table.name(table.symbols()[i]), list.entries[i].name);
      EXPECT_EQ(table.symbols()[i].address.value, list.entries[i].address);
      EXPECT_EQ(table.symbols()[i].module, list.entries[i].module);
    }
    for (int i = 0; i <= 80; ++i) {
      const std::string name = fmt::format("name_{}", i);  // the last is nobody's
      EXPECT_EQ(index_in(table, table.find(name)), list.find(name)) << name;
    }
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t address = kBase - 0x10000 + random() % 0x140000;
      const auto found = table.find(VirtAddr(address));
      const auto wanted = list.find(address);
      ASSERT_EQ(index_in(table, found ? found->symbol : nullptr), wanted) << std::hex << address;
      if (!wanted) continue;
      EXPECT_EQ(found->offset, address - list.entries[*wanted].address);
    }
  }
}

TEST(SymbolTable, EmptyFindsNothing) {
  const SymbolTable table;
  EXPECT_EQ(table.find("a"), nullptr);
  EXPECT_FALSE(table.address_of("a"));
  EXPECT_FALSE(table.find(VirtAddr(kBase)));
  EXPECT_FALSE(SymbolTable::Builder().build().find(VirtAddr(kBase)));
}

TEST(SymbolTable, TheKernelGoesBeforeModules) {
  SymbolTable::Builder builder;
  const auto module = builder.add_module("ext4");
  builder.add("init", VirtAddr(kBase), 't', module);
  builder.add("init", VirtAddr(kBase + 0x1000), 'T');
  builder.add("init", VirtAddr(kBase + 0x2000), 'T');
  const SymbolTable table = std::move(builder).build();
  EXPECT_EQ(table.address_of("init"), VirtAddr(kBase + 0x1000));
  EXPECT_EQ(table.module_name(table.symbols()[0]), "ext4");
  EXPECT_EQ(table.module_name(table.symbols()[1]), "");
}

TEST(SymbolTable, OfAliasesTheFirstIsNamed) {
  SymbolTable::Builder builder;
  for (const char* name : {"srso_alias_untrain_ret", "_stext", "_text"}) {
    builder.add(name, VirtAddr(kBase), 'T');
  }
  const SymbolTable table = std::move(builder).build();
  const auto found = table.find(VirtAddr(kBase + 5));
  ASSERT_TRUE(found);
  EXPECT_EQ(table.name(*found->symbol), "srso_alias_untrain_ret");
  EXPECT_EQ(found->offset, 5U);
}

TEST(SymbolTable, NamesOfAllLengthsAreKept) {
  SymbolTable::Builder builder;
  const std::string longest(0x10010, 'n');
  for (std::size_t size = 0; size < 40; ++size)
    builder.add(longest.substr(0, size), VirtAddr(size), 'b');
  builder.add(longest, VirtAddr(40), 'b');
  const SymbolTable table = std::move(builder).build();
  for (std::size_t size = 0; size < 40; ++size) {
    EXPECT_EQ(table.address_of(longest.substr(0, size)), VirtAddr(size));
  }
  EXPECT_EQ(table.address_of(longest.substr(0, 0xffff)), VirtAddr(40));
}

TEST(SymbolTable, ModulesBeyondTheLimitShareTheLastIndex) {
  SymbolTable::Builder builder;
  for (unsigned i = 1; i <= 0xffff; ++i) ASSERT_EQ(builder.add_module(fmt::format("m{}", i)), i);
  EXPECT_EQ(builder.add_module("one_more"), 0xffff);
}

}  // namespace
}  // namespace engram::types
