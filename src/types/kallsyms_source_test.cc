// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "types/test_kernel_image.h"

namespace engram::types {
namespace {

using namespace test;

Result<Kallsyms> reopen(const Machine& machine, KallsymsRecord record) {
  Diagnostics diagnostics;
  return reopen_kallsyms(machine.space(), machine.image(), std::move(record), diagnostics);
}

KallsymsRecord copy_of(const KallsymsRecord& record) {
  return {record.fixed, record.numbers};
}

/// The slow twin of look-ups by name: the first symbol of the list that has it.
std::optional<std::uint64_t> first_of(const std::vector<TestSymbol>& list, std::string_view name) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const TestSymbol& one) { return one.name == name; });
  if (found == list.end()) return std::nullopt;
  return found->address;
}

TEST(KallsymsSource, NamesAreFoundWithoutTheListAndWithIt) {
  const Image image = modern_image();
  const auto found = find(image);
  ASSERT_TRUE(found);
  // The first look-ups ask the compressed names, all later ones an index.
  for (const TestSymbol& symbol : image.symbols) {
    const auto address = found->symbols.address_of(symbol.name);
    ASSERT_TRUE(address) << symbol.name;
    EXPECT_EQ(address->value, first_of(image.symbols, symbol.name));
    const auto again = found->source->address_of(symbol.name);
    EXPECT_EQ(again, address) << symbol.name;
  }
  EXPECT_FALSE(find(image)->symbols.address_of("no such symbol"));
  EXPECT_FALSE(find(image)->symbols.address_of(""));
}

class EveryReopened : public testing::TestWithParam<Combination> {};

TEST_P(EveryReopened, IsAsItWasFound) {
  const Image image = image_of(GetParam());
  const Machine machine(image.sections());
  const auto found = find(machine);
  ASSERT_TRUE(found);
  const auto again = reopen(machine, record_of(*found));
  expect_found(image, again);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->description, found->description);
  EXPECT_EQ(again->relative_base, found->relative_base);
  for (const std::size_t i : {std::size_t{0}, image.symbols.size() / 2, image.symbols.size() - 1}) {
    EXPECT_EQ(again->symbols.address_of(image.symbols[i].name),
              found->symbols.address_of(image.symbols[i].name));
  }
}

INSTANTIATE_TEST_SUITE_P(KallsymsSource, EveryReopened, test::every_modern_layout);
INSTANTIATE_TEST_SUITE_P(KallsymsSourceWideMarkers, EveryReopened,
                         test::every_layout_with_wide_markers);

TEST(KallsymsSource, AnImageThatHasChangedIsNotReopened) {
  const Image original = modern_image();
  const auto found = find(original);
  ASSERT_TRUE(found);
  const KallsymsRecord record = record_of(*found);
  const auto& written = original.written;
  for (std::size_t at = written.num_syms; at < written.token_index + 512; ++at) {
    // All of the parts but the names, of which some.
    if (at > written.names + 300 && at + 300 < written.markers && at % 64 != 0) continue;
    Image image = original;
    image.poke(at, static_cast<std::uint8_t>(image.written.bytes[at]) ^ 0x10U);
    const Machine machine(image.sections());
    const auto again = reopen(machine, copy_of(record));
    // Bytes between the parts belong to none, and not every token is used.
    if (again) expect_found(original, again);
    const auto anew = find(machine);
    if (!anew || list_of(anew->symbols) != original.symbols) {
      EXPECT_FALSE(again) << at;
    }
  }
}

TEST(KallsymsSource, AddressesAreReadAnew) {
  Image image = modern_image();
  const auto found = find(image);
  ASSERT_TRUE(found);
  image.poke(image.address_entry(700), std::int32_t{-1});
  image.symbols[700].address = kText;
  expect_found(image, reopen(Machine(image.sections()), record_of(*found)));
}

TEST(KallsymsSource, NoRecordMakesUpASymbol) {
  const Image image = modern_image();
  const Machine machine(image.sections());
  const auto found = find(machine);
  ASSERT_TRUE(found);
  const KallsymsRecord record = record_of(*found);
  std::size_t refused = 0;
  for (std::size_t at = 0; at < sizeof record.fixed; ++at) {
    for (const unsigned change : {0x01U, 0x08U, 0x80U, 0xffU}) {
      KallsymsRecord forged = copy_of(record);
      auto* const bytes = reinterpret_cast<unsigned char*>(&forged.fixed);
      bytes[at] = static_cast<unsigned char>(bytes[at] ^ change);
      const auto again = reopen(machine, std::move(forged));
      if (!again) ++refused;
      if (again) {
        EXPECT_EQ(list_of(again->symbols), image.symbols) << at;
      }
    }
  }
  EXPECT_GT(refused, sizeof record.fixed * 2);
  KallsymsRecord shorter = copy_of(record);
  shorter.numbers.pop_back();
  EXPECT_FALSE(reopen(machine, std::move(shorter)));
  // With other numbers, a name is not found or has its address all the same.
  KallsymsRecord mixed = copy_of(record);
  std::reverse(mixed.numbers.begin(), mixed.numbers.end());
  const auto again = reopen(machine, std::move(mixed));
  ASSERT_TRUE(again);
  for (const TestSymbol& symbol : image.symbols) {
    const auto address = again->source->address_of(symbol.name);
    if (address) {
      EXPECT_EQ(address->value, first_of(image.symbols, symbol.name));
    }
  }
}

}  // namespace
}  // namespace engram::types
