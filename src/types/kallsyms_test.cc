// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <tuple>

#include "types/kallsyms_tokens.h"
#include "types/test_kernel_image.h"

namespace engram::types {
namespace {

using namespace test;
using testing::HasSubstr;

class EveryLayout : public testing::TestWithParam<Combination> {};

TEST_P(EveryLayout, GivesBackTheList) {
  const AddressEncoding encoding = std::get<AddressEncoding>(GetParam());
  const Image image = image_of(GetParam());
  const auto found = find(image);
  expect_found(image, found);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->encoding, encoding);
  const bool based =
      encoding == AddressEncoding::base_relative || encoding == AddressEncoding::absolute_percpu;
  EXPECT_EQ(found->relative_base.value, based ? kText : 0);
  EXPECT_THAT(found->description, HasSubstr("linux_banner holds"));
}

INSTANTIATE_TEST_SUITE_P(Kallsyms, EveryLayout, test::every_modern_layout);
INSTANTIATE_TEST_SUITE_P(KallsymsWideMarkers, EveryLayout, test::every_layout_with_wide_markers);

TEST(Kallsyms, StrayTextBeforeTheTokensIsNotTakenForTokens) {
  using namespace std::string_view_literals;
  for (const std::string_view stray : {"x"sv, "ab"sv, "stray"sv, "one\0two\0"sv}) {
    const Recipe recipe{.encoding = AddressEncoding::absolute, .stray = std::string(stray)};
    const Image image(recipe, kernel_symbols(true));
    expect_found(image, find(image));
  }
}

TEST(Kallsyms, DecoyTablesInFrontAreLeftBehind) {
  const Image image = modern_image();
  auto sections = image.sections();
  // Digits alone, and a token table with its index, but nothing else.
  const auto decoy = Writer({}, image.symbols, 0).write();
  const auto first = decoy.bytes.begin() + static_cast<std::ptrdiff_t>(decoy.token_table);
  const auto last = decoy.bytes.begin() + static_cast<std::ptrdiff_t>(decoy.token_index + 512);
  std::copy(first, last, sections[1].bytes.begin() + 0x100);
  std::memcpy(sections[1].bytes.data() + 0xe00, kDigitTokens.data(), kDigitTokens.size());
  Diagnostics diagnostics;
  expect_found(image, find(Machine(sections), &diagnostics));
  const auto rows = diagnostics.rows();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_THAT(rows[0].message, HasSubstr("no markers"));
  EXPECT_THAT(rows[1].message, HasSubstr("no token index"));
  EXPECT_EQ(rows[2].level, Level::info);
}

TEST(Kallsyms, EveryPartMayCrossAPageBorder) {
  // The digits of the table cross from one page to the next at one of these places.
  const Recipe recipe{.encoding = AddressEncoding::pc_relative};
  const auto at_zero = Writer(recipe, kernel_symbols(false), kRodata + 0x1000).write();
  const std::size_t digits = find_digit_tokens(at_zero.bytes, 0).value();
  for (std::uint64_t shift = 0; shift < 128; shift += 8) {
    const std::uint64_t place = kRodata + 0x2000 - (digits % kPageSize) - 64 + shift;
    const Image image(recipe, kernel_symbols(false), align_down(place, 8));
    expect_found(image, find(image));
  }
}

TEST(Kallsyms, WritableReadOnlyDataIsSearchedToo) {
  const Image image = modern_image();
  auto sections = image.sections();
  sections[1].writable = true;
  expect_found(image, find(Machine(sections)));
}

TEST(Kallsyms, FunctionsOnly) {
  auto symbols = kernel_symbols(false);
  symbols.resize(symbols.size() - 3);
  symbols.push_back({"_sinittext", 'T', kText + 0x11000});
  symbols.push_back({"_einittext", 'T', kText + 0x12000});
  const Image image({.encoding = AddressEncoding::base_relative}, symbols);
  auto found = find(image);
  expect_found(image, found);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->description, HasSubstr("there is no linux_banner"));
  const SymbolTable& table = found->symbols;
  EXPECT_TRUE(table.find(VirtAddr(kText + 0xffff)));
  EXPECT_FALSE(table.find(VirtAddr(kText + 0x10000)));
  EXPECT_TRUE(table.find(VirtAddr(kText + 0x11fff)));
  EXPECT_FALSE(table.find(VirtAddr(kText + 0x12000)));
}

TEST(Kallsyms, TheKernelEndsAtEnd) {
  auto found = find(modern_image());
  ASSERT_TRUE(found);
  const SymbolTable& table = found->symbols;
  const auto last = table.find(VirtAddr(kEnd - 1));
  ASSERT_TRUE(last);
  EXPECT_EQ(table.name(*last->symbol), "init_task");
  EXPECT_EQ(last->offset, kEnd - 1 - kData);
  EXPECT_FALSE(table.find(VirtAddr(kEnd)));
  EXPECT_FALSE(table.find(VirtAddr(0x6010)));  // near a per-CPU offset, which is no place
}

TEST(Kallsyms, AnAbsentBannerPageProvesNothing) {
  const Image image = modern_image();
  const auto found = find(Machine(image.sections(), {kRodata}));
  expect_found(image, found);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->description, HasSubstr("linux_banner is not in the image"));
}

TEST(Kallsyms, OnePatchedAddressIsReportedAndKept) {
  Image image = modern_image();
  image.poke(image.address_entry(700), std::int32_t{-1});
  image.symbols[700].address = kText;
  Diagnostics diagnostics;
  expect_found(image, find(Machine(image.sections()), &diagnostics));
  const auto rows = diagnostics.rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].level, Level::warning);
  EXPECT_THAT(rows[1].message, HasSubstr("1 of 1509 addresses"));
}

TEST(KallsymsDamage, NoTokens) {
  Image image = modern_image();
  std::fill_n(image.written.bytes.begin() + static_cast<std::ptrdiff_t>(image.written.token_table),
              512, std::byte{1});
  EXPECT_THAT(error_of(image), HasSubstr("no token table"));
}

TEST(KallsymsDamage, NoMappings) {
  const Machine machine({});
  EXPECT_THAT(find(machine).error().text, HasSubstr("no mappings"));
}

TEST(KallsymsDamage, TokensWithoutEnd) {
  const Image image = modern_image();
  auto sections = image.sections();
  auto& bytes = sections[1].bytes;
  bytes.resize(align_up(bytes.size(), kPageSize));
  const std::size_t from = kKallsyms - kRodata + image.written.token_table + 300;
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), std::byte{'x'});
  EXPECT_THAT(find(Machine(sections)).error().text, HasSubstr("no 208 tokens"));
}

TEST(KallsymsDamage, IndexDisagreesWithLaterTokens) {
  Image image = modern_image();
  image.poke(image.index_entry(200), std::uint16_t{7});
  EXPECT_THAT(error_of(image), HasSubstr("no token index"));
}

TEST(KallsymsDamage, IndexDisagreesWithEarlierTokens) {
  Image image = modern_image();
  image.poke(image.index_entry(20), std::uint16_t{7});
  EXPECT_THAT(error_of(image), HasSubstr("tokens before the digits"));
}

TEST(KallsymsDamage, Marker) {
  Image image = modern_image();
  image.poke(image.written.markers + 8, std::uint32_t{1});
  EXPECT_THAT(error_of(image), HasSubstr("no markers"));
}

TEST(KallsymsDamage, NumberOfSymbols) {
  for (const std::uint32_t count : {0U, 1U, 1300U, 0xffffffffU}) {
    Image image = modern_image();
    image.poke(image.written.num_syms, count);
    EXPECT_THAT(error_of(image), HasSubstr("6 markers")) << count;
  }
}

TEST(KallsymsDamage, LengthOfAName) {
  for (const int length : {0, 1, 0x7f, 0xff}) {
    Image image = modern_image();
    image.poke(image.written.names, static_cast<std::uint8_t>(length));
    EXPECT_THAT(error_of(image), HasSubstr("no names in front of them agree")) << length;
  }
}

TEST(KallsymsDamage, ANameThatIsOnlyAType) {
  Image image = modern_image();
  // The first name's codes become empty tokens: what is left is less than a type and a character.
  const std::size_t first = image.written.names;
  const auto length = std::to_integer<std::size_t>(image.written.bytes[first]);
  for (std::size_t i = 0; i < length; ++i) image.poke(first + 1 + i, std::uint8_t{255});
  EXPECT_THAT(error_of(image), HasSubstr("name 0 of 1509"));
}

TEST(KallsymsDamage, Addresses) {
  Image image = modern_image();
  for (std::size_t i = 0; i < image.symbols.size(); i += 2) {
    image.poke(image.address_entry(i), static_cast<std::uint32_t>(i * 0x9E3779B9U));
  }
  EXPECT_THAT(error_of(image), HasSubstr("no addresses that ascend"));
}

TEST(KallsymsDamage, RelativeBase) {
  Image image = modern_image();
  image.poke(image.written.relative_base, std::uint64_t{kText + 0x100});
  EXPECT_THAT(error_of(image), HasSubstr("linux_banner at 0xffffffff81200180 does not hold"));
  image.poke(image.written.relative_base, std::uint64_t{kText - 0x40000000});
  EXPECT_THAT(error_of(image), HasSubstr("lie in the kernel image"));
  image.poke(image.written.relative_base, std::uint64_t{kData});
  EXPECT_THAT(error_of(image), HasSubstr("read as base-relative with absolute per-CPU symbols"));
}

TEST(KallsymsDamage, TextThatIsNotCode) {
  auto sections = modern_image().sections();
  sections[0].executable = false;
  EXPECT_THAT(find(Machine(sections)).error().text, HasSubstr("is not executable"));
}

TEST(KallsymsDamage, OwnSymbolsThatPointElsewhere) {
  auto symbols = kernel_symbols(false);
  symbols.insert(symbols.end() - 2, {"kallsyms_names", 'D', kKallsyms + 0x44});
  const Image image({}, symbols);
  EXPECT_THAT(error_of(image), HasSubstr("kallsyms_names decodes to 0xffffffff81201044"));
}

TEST(KallsymsDamage, MissingPages) {
  const Image image = modern_image();
  const auto page_of = [&](std::size_t part) { return align_down(kKallsyms + part, kPageSize); };
  const auto error_without = [&](std::uint64_t page) {
    const auto found = find(Machine(image.sections(), {page}));
    return found ? "found" : found.error().text;
  };
  EXPECT_THAT(error_without(page_of(image.written.names)), HasSubstr("no names in front of them"));
  EXPECT_THAT(error_without(page_of(image.address_entry(1508))),
              HasSubstr("no addresses that ascend"));
}

/// Whatever lies in the image, there is an answer, and it comes soon.
TEST(KallsymsDamage, GarbageBetweenTheParts) {
  Image image = modern_image();
  auto sections = image.sections();
  sections[1].bytes.resize(4 * kMiB - 0x1000);
  std::uint32_t state = 1;
  for (std::size_t at = 0x100; at + 32 < sections[1].bytes.size(); at += 24) {
    state = state * 1664525U + 1013904223U;
    if (state >> 30U == 0) {
      std::memcpy(sections[1].bytes.data() + at, kDigitTokens.data(), kDigitTokens.size());
    } else {
      const std::uint32_t words[3] = {0, 512 + (state & 0xffffU), 0x20000 + (state & 0xffffU)};
      std::memcpy(sections[1].bytes.data() + at, words, sizeof words);
    }
  }
  sections.pop_back();
  Diagnostics diagnostics;
  EXPECT_FALSE(find(Machine(sections), &diagnostics));
  ASSERT_EQ(diagnostics.rows().size(), 17U);
  EXPECT_THAT(diagnostics.rows()[16].message, HasSubstr("gave up after 4096 texts"));
}

TEST(KallsymsTokens, DigitsAreFoundAtEveryPlace) {
  for (std::size_t at = 0; at <= 64; ++at) {
    std::vector<std::byte> bytes(64 + kDigitTokens.size(), std::byte{'0'});
    std::memcpy(bytes.data() + at, kDigitTokens.data(), kDigitTokens.size());
    EXPECT_EQ(find_digit_tokens(bytes, 0), at);
    EXPECT_EQ(find_digit_tokens(bytes, at), at);
    EXPECT_EQ(find_digit_tokens(bytes, at + 1), std::nullopt);
    EXPECT_EQ(find_digit_tokens(Bytes(bytes).first(at + kDigitTokens.size() - 1), 0), std::nullopt);
  }
}

}  // namespace
}  // namespace engram::types
