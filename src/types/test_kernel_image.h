// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kernel image with kallsyms in it, for tests: made in every layout, damaged, found again.

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "types/test_kallsyms.h"

namespace engram::types::test {

inline constexpr std::uint64_t kText = 0xffffffff81000000;
inline constexpr std::uint64_t kRodata = 0xffffffff81200000;
inline constexpr std::uint64_t kBanner = kRodata + 0x80;
inline constexpr std::uint64_t kKallsyms = kRodata + 0x1000;
inline constexpr std::uint64_t kData = 0xffffffff81400000;
inline constexpr std::uint64_t kEnd = kData + 0x4000;

inline std::vector<std::byte> bytes_of(std::string_view text, std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// Symbols as a kernel has them: some share a name, some an address, and some names take two length
/// bytes.
inline std::vector<TestSymbol> kernel_symbols(bool percpu, std::size_t functions = 1500) {
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

inline Image modern_image() {
  const Recipe recipe{.layout = Layout::since_6_4, .encoding = AddressEncoding::absolute_percpu};
  return Image(recipe, kernel_symbols(true));
}

inline Result<Kallsyms> find(const Machine& machine, Diagnostics* diagnostics = nullptr) {
  Diagnostics mine;
  return find_kallsyms(machine.space(), machine.image(),
                       diagnostics != nullptr ? *diagnostics : mine);
}

inline Result<Kallsyms> find(const Image& image) {
  return find(Machine(image.sections()));
}

inline std::string error_of(const Image& image) {
  auto found = find(image);
  return found ? "found" : found.error().text;
}

inline std::vector<TestSymbol> list_of(const SymbolTable& symbols) {
  std::vector<TestSymbol> list;
  for (const Symbol& symbol : symbols.symbols()) {
    list.push_back({std::string(symbols.name(symbol)), symbol.type, symbol.address.value});
  }
  return list;
}

inline void expect_found(const Image& image, const Result<Kallsyms>& found) {
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

inline const auto every_encoding =
    testing::Values(AddressEncoding::absolute, AddressEncoding::base_relative,
                    AddressEncoding::absolute_percpu, AddressEncoding::pc_relative);
// Odd and even numbers of symbols end the parts at different alignments; 1536 fill the last block.
inline const auto every_remainder = testing::Values(0U, 1U, 27U, 30U, 31U);
inline const auto every_modern_layout = testing::Combine(
    testing::Values(Layout::before_6_4, Layout::seqs_between, Layout::since_6_4, Layout::since_7_0),
    every_encoding, testing::Values(4U), every_remainder);
// Kernels before 5.0.
inline const auto every_layout_with_wide_markers = testing::Combine(
    testing::Values(Layout::before_6_4), every_encoding, testing::Values(8U), every_remainder);

/// With symbols to fill it.
inline Image image_of(const Combination& combination) {
  const auto [layout, encoding, marker_size, more] = combination;
  const bool percpu =
      encoding == AddressEncoding::absolute || encoding == AddressEncoding::absolute_percpu;
  const Recipe recipe{.layout = layout, .encoding = encoding, .marker_size = marker_size};
  return Image(recipe, kernel_symbols(percpu, 1500 + more));
}

}  // namespace engram::types::test
