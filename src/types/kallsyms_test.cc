// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <tuple>

#include "types/kallsyms_source.h"
#include "types/kallsyms_tokens.h"
#include "types/test_kallsyms.h"

namespace engram::types {
namespace {

using test::Layout;
using test::Machine;
using test::Recipe;
using test::Section;
using test::TestSymbol;
using test::Writer;
using test::Written;
using testing::HasSubstr;

constexpr std::uint64_t kText = 0xffffffff81000000;
constexpr std::uint64_t kRodata = 0xffffffff81200000;
constexpr std::uint64_t kBanner = kRodata + 0x80;
constexpr std::uint64_t kKallsyms = kRodata + 0x1000;
constexpr std::uint64_t kData = 0xffffffff81400000;
constexpr std::uint64_t kEnd = kData + 0x4000;

std::vector<std::byte> bytes_of(std::string_view text, std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// Symbols as a kernel has them: some share a name, some an address, and some names take two length
/// bytes.
std::vector<TestSymbol> kernel_symbols(bool percpu, std::size_t functions = 1500) {
  std::vector<TestSymbol> symbols;
  if (percpu) {
    symbols.push_back({"__per_cpu_start", 'A', 0});
    symbols.push_back({"cpu_tss_rw", 'A', 0x6000});
    symbols.push_back({"__per_cpu_end", 'A', 0x36000});
  }
  symbols.push_back({"_stext", 'T', kText});
  symbols.push_back({"_text", 'T', kText});
  for (std::size_t i = 0; i < functions; ++i) {
    std::string name = fmt::format("do_sys_function_{}_of_the_kernel_init", i);
    if (i % 50 == 0) name = "a_token_of_more_than_16_bytes_dup";
    if (i % 400 == 7) name = fmt::format("_R{:0>300}", i * i);
    if (i % 400 == 9) name = std::string(511, 'z');
    symbols.push_back({name, i % 3 == 0 ? 'T' : 't', kText + 0x10 + i / 2 * 32});
  }
  symbols.push_back({"_etext", 'T', kText + 0x10000});
  symbols.push_back({"linux_banner", 'D', kBanner});
  symbols.push_back({"init_task", 'D', kData});
  symbols.push_back({"_end", 'B', kEnd});
  return symbols;
}

/// A kernel image with kallsyms in it, ready to be damaged.
struct Image {
  explicit Image(const Recipe& recipe, std::vector<TestSymbol> list, std::uint64_t at = kKallsyms)
      : symbols(std::move(list)), place(at), written(Writer(recipe, symbols, place).write()) {}

  [[nodiscard]] std::vector<Section> sections() const {
    Section rodata{kRodata, bytes_of("", place - kRodata), false, false};
    const std::string banner = "Linux version 6.6.6 (somebody@somewhere)";
    std::memcpy(rodata.bytes.data() + (kBanner - kRodata), banner.data(), banner.size());
    rodata.bytes.insert(rodata.bytes.end(), written.bytes.begin(), written.bytes.end());
    rodata.bytes.resize(rodata.bytes.size() + kPageSize);
    return {{kText, std::vector<std::byte>(0x10000), false, true},
            rodata,
            {kData, std::vector<std::byte>(kEnd - kData), true, false}};
  }

  template <class T>
  void poke(std::size_t at, T value) {
    std::memcpy(written.bytes.data() + at, &value, sizeof value);
  }

  [[nodiscard]] std::size_t address_entry(std::size_t i) const { return written.offsets + 4 * i; }
  [[nodiscard]] std::size_t index_entry(std::size_t i) const { return written.token_index + 2 * i; }

  std::vector<TestSymbol> symbols;
  std::uint64_t place;
  Written written;
};

Image modern_image() {
  const Recipe recipe{.layout = Layout::since_6_4, .encoding = AddressEncoding::absolute_percpu};
  return Image(recipe, kernel_symbols(true));
}

Result<Kallsyms> find(const Machine& machine, Diagnostics* diagnostics = nullptr) {
  Diagnostics mine;
  return find_kallsyms(machine.space(), machine.image(),
                       diagnostics != nullptr ? *diagnostics : mine);
}

Result<Kallsyms> find(const Image& image) {
  return find(Machine(image.sections()));
}

std::string error_of(const Image& image) {
  auto found = find(image);
  return found ? "found" : found.error().text;
}

std::vector<TestSymbol> list_of(const SymbolTable& symbols) {
  std::vector<TestSymbol> list;
  for (const Symbol& symbol : symbols.symbols()) {
    list.push_back({std::string(symbols.name(symbol)), symbol.type, symbol.address.value});
  }
  return list;
}

void expect_found(const Image& image, const Result<Kallsyms>& found) {
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(list_of(found->symbols), image.symbols);
  EXPECT_EQ(found->num_syms.value, image.place + image.written.num_syms);
  EXPECT_EQ(found->names.value, image.place + image.written.names);
  EXPECT_EQ(found->markers.value, image.place + image.written.markers);
  EXPECT_EQ(found->token_table.value, image.place + image.written.token_table);
  EXPECT_EQ(found->token_index.value, image.place + image.written.token_index);
  EXPECT_EQ(found->offsets.value, image.place + image.written.offsets);
}

using Combination = std::tuple<Layout, AddressEncoding, unsigned, unsigned>;

class EveryLayout : public testing::TestWithParam<Combination> {};

TEST_P(EveryLayout, GivesBackTheList) {
  const auto [layout, encoding, marker_size, more] = GetParam();
  const bool percpu =
      encoding == AddressEncoding::absolute || encoding == AddressEncoding::absolute_percpu;
  const Recipe recipe{.layout = layout, .encoding = encoding, .marker_size = marker_size};
  const Image image(recipe, kernel_symbols(percpu, 1500 + more));
  const auto found = find(image);
  expect_found(image, found);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->encoding, encoding);
  const bool based =
      encoding == AddressEncoding::base_relative || encoding == AddressEncoding::absolute_percpu;
  EXPECT_EQ(found->relative_base.value, based ? kText : 0);
  EXPECT_THAT(found->description, HasSubstr("linux_banner holds"));
}

const auto every_encoding =
    testing::Values(AddressEncoding::absolute, AddressEncoding::base_relative,
                    AddressEncoding::absolute_percpu, AddressEncoding::pc_relative);
// Odd and even numbers of symbols end the parts at different alignments; 1536 fill the last block.
const auto every_remainder = testing::Values(0U, 1U, 27U, 30U, 31U);

INSTANTIATE_TEST_SUITE_P(Kallsyms, EveryLayout,
                         testing::Combine(testing::Values(Layout::before_6_4, Layout::seqs_between,
                                                          Layout::since_6_4, Layout::since_7_0),
                                          every_encoding, testing::Values(4U), every_remainder));
// Kernels before 5.0.
INSTANTIATE_TEST_SUITE_P(KallsymsWideMarkers, EveryLayout,
                         testing::Combine(testing::Values(Layout::before_6_4), every_encoding,
                                          testing::Values(8U), every_remainder));

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

TEST(Kallsyms, NamesAreFoundWithoutTheListAndWithIt) {
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

TEST_P(EveryLayout, IsReopenedAsItWasFound) {
  const auto [layout, encoding, marker_size, more] = GetParam();
  const bool percpu =
      encoding == AddressEncoding::absolute || encoding == AddressEncoding::absolute_percpu;
  const Recipe recipe{.layout = layout, .encoding = encoding, .marker_size = marker_size};
  const Image image(recipe, kernel_symbols(percpu, 1500 + more));
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

TEST(Kallsyms, AnImageThatHasChangedIsNotReopened) {
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

TEST(Kallsyms, AddressesAreReadAnew) {
  Image image = modern_image();
  const auto found = find(image);
  ASSERT_TRUE(found);
  image.poke(image.address_entry(700), std::int32_t{-1});
  image.symbols[700].address = kText;
  expect_found(image, reopen(Machine(image.sections()), record_of(*found)));
}

TEST(Kallsyms, NoRecordMakesUpASymbol) {
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
