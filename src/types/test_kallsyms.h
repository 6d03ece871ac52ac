// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kallsyms written from a list of symbols, as scripts/kallsyms.c of several kernels does, and a
// small machine whose page tables map it: what tests and fuzz harnesses decode.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guest/memory.h"
#include "paging/address_space.h"
#include "types/kallsyms.h"

namespace engram::types::test {

/// Bytes at a virtual address; a whole number of pages is mapped for them.
struct Section {
  std::uint64_t address = 0;
  std::vector<std::byte> bytes;
  bool writable = false;
  bool executable = false;
};

/// A machine with four-level page tables that map its sections in 4 KiB pages. No two pages that
/// follow one another in virtual memory do so in physical memory: every page is a mapping of its
/// own.
class Machine {
 public:
  /// Pages in `absent` are mapped, but the image does not have them.
  explicit Machine(const std::vector<Section>& sections,
                   const std::set<std::uint64_t>& absent = {}) {
    new_page();  // the root
    for (const Section& section : sections) add(section, absent);
    guest::Regions regions;
    for (std::size_t page = 0; page < pages_.size(); ++page) {
      regions.push_back({PhysAddr(kFirst + 2 * page * kPageSize), kPageSize, guest::Backing::host,
                         pages_[page].data()});
    }
    memory_ = guest::Memory::create(std::move(regions), nullptr).value();
  }

  [[nodiscard]] paging::AddressSpace space() const {
    return paging::AddressSpace(memory_, paging::Mode{}, PhysAddr(kFirst));
  }

  [[nodiscard]] std::vector<paging::Mapping> image() const {
    std::vector<paging::Mapping> image;
    space().for_each_mapping(VirtAddr(0xffffffff80000000), VirtAddr(0xffffffffbfffffff),
                             [&](const paging::Mapping& mapping) {
                               image.push_back(mapping);
                               return true;
                             });
    return image;
  }

 private:
  static constexpr std::uint64_t kFirst = 0x10000;
  static constexpr std::uint64_t kPresent = 1, kWritable = 2, kNoExecute = std::uint64_t{1} << 63U;

  std::size_t new_page() {
    pages_.emplace_back(kPageSize);
    return pages_.size() - 1;
  }

  void add(const Section& section, const std::set<std::uint64_t>& absent) {
    for (std::size_t at = 0; at < section.bytes.size(); at += kPageSize) {
      const std::uint64_t address = section.address + at;
      std::uint64_t target = std::uint64_t{1} << 40U;  // far outside the image
      if (!absent.contains(address)) {
        const std::size_t page = new_page();
        const std::size_t size = std::min<std::size_t>(kPageSize, section.bytes.size() - at);
        std::memcpy(pages_[page].data(), section.bytes.data() + at, size);
        target = kFirst + 2 * page * kPageSize;
      }
      map(address, target | kPresent | (section.writable ? kWritable : 0) |
                       (section.executable ? 0 : kNoExecute));
    }
  }

  void map(std::uint64_t address, std::uint64_t entry) {
    std::size_t table = 0;
    for (const unsigned shift : {39U, 30U, 21U}) {
      const std::size_t slot = (address >> shift) & 511U;
      const auto key = std::make_pair(table, slot);
      if (!tables_.contains(key)) {
        tables_[key] = new_page();
        store(table, slot, (kFirst + 2 * tables_[key] * kPageSize) | kPresent | kWritable);
      }
      table = tables_[key];
    }
    store(table, (address >> 12U) & 511U, entry);
  }

  void store(std::size_t page, std::size_t slot, std::uint64_t entry) {
    std::memcpy(pages_[page].data() + slot * 8, &entry, sizeof entry);
  }

  std::vector<std::vector<std::byte>> pages_;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> tables_;
  guest::Memory memory_;
};

struct TestSymbol {
  std::string name;
  char type = '?';
  std::uint64_t address = 0;

  bool operator==(const TestSymbol&) const = default;
};

enum class Layout : std::uint8_t {
  before_6_4,    ///< addresses, count, names, markers, tokens, index
  seqs_between,  ///< 6.2, 6.3: the same with sequence numbers behind the markers
  since_6_4,     ///< count, names, markers, tokens, index, addresses, sequence numbers
  since_7_0,     ///< the same, aligned to 4 bytes
};

struct Recipe {
  Layout layout = Layout::since_6_4;
  AddressEncoding encoding = AddressEncoding::base_relative;
  unsigned marker_size = 4;
  std::string stray{};  ///< bytes that lie directly before the token table
};

/// kallsyms as bytes, and where its parts begin.
struct Written {
  std::vector<std::byte> bytes;
  std::size_t num_syms = 0, names = 0, markers = 0, token_table = 0, token_index = 0, offsets = 0;
  std::size_t relative_base = 0;  ///< 0 if there is none
};

class Writer {
 public:
  Writer(Recipe recipe, std::vector<TestSymbol> symbols, std::uint64_t place)
      : recipe_(std::move(recipe)), symbols_(std::move(symbols)), place_(place) {}

  Written write() {
    choose_tokens();
    const bool addresses_first =
        recipe_.layout == Layout::before_6_4 || recipe_.layout == Layout::seqs_between;
    if (addresses_first) put_addresses();
    put_names();
    if (recipe_.layout == Layout::seqs_between) put_sequence();
    put_tokens();
    if (!addresses_first) {
      put_addresses();
      put_sequence();
    }
    return std::move(out_);
  }

 private:
  static constexpr std::string_view kCommon[] = {
      "__", "_init", "sys_", "kernel", "do_", "_t", "er", "in", "a_token_of_more_than_16_bytes_",
      "re"};

  /// Characters that occur stand for themselves, the free codes for common texts, as long as there
  /// are any.
  void choose_tokens() {
    for (const TestSymbol& symbol : symbols_) {
      for (const char c : symbol.type + symbol.name) {
        tokens_[static_cast<std::uint8_t>(c)] = std::string(1, c);
      }
    }
    std::size_t next = 0;
    for (std::string& token : tokens_) {
      if (!token.empty() || next == std::size(kCommon)) continue;
      token = kCommon[next++];
      long_codes_.push_back(static_cast<std::uint8_t>(&token - tokens_.data()));
    }
  }

  [[nodiscard]] std::vector<std::uint8_t> compress(std::string_view text) const {
    std::vector<std::uint8_t> codes;
    while (!text.empty()) {
      auto best = static_cast<std::uint8_t>(text.front());
      for (const std::uint8_t code : long_codes_) {
        if (tokens_[code].size() > tokens_[best].size() && text.starts_with(tokens_[code]))
          best = code;
      }
      codes.push_back(best);
      text.remove_prefix(tokens_[best].size());
    }
    return codes;
  }

  template <class T>
  void put(T value) {
    const auto at = out_.bytes.size();
    out_.bytes.resize(at + sizeof value);
    std::memcpy(out_.bytes.data() + at, &value, sizeof value);
  }

  std::size_t align(std::size_t to = 0) {
    if (to == 0) to = recipe_.layout == Layout::since_7_0 ? 4 : 8;
    while ((place_ + out_.bytes.size()) % to != 0) put(std::uint8_t{0});
    return out_.bytes.size();
  }

  void put_addresses() {
    const AddressEncoding encoding = recipe_.encoding;
    const bool based =
        encoding == AddressEncoding::base_relative || encoding == AddressEncoding::absolute_percpu;
    out_.offsets = align(based ? 8 : 0);
    std::uint64_t base = ~std::uint64_t{0};
    for (const TestSymbol& symbol : symbols_) {
      if (symbol.type != 'A') base = std::min(base, symbol.address);
    }
    for (const TestSymbol& symbol : symbols_) put_address(symbol, base);
    if (!based) return;
    out_.relative_base = align(8);
    put(base);
  }

  void put_address(const TestSymbol& symbol, std::uint64_t base) {
    switch (recipe_.encoding) {
      case AddressEncoding::absolute:
        put(symbol.address);
        break;
      case AddressEncoding::base_relative:
        put(static_cast<std::uint32_t>(symbol.address - base));
        break;
      case AddressEncoding::absolute_percpu:
        put(static_cast<std::uint32_t>(symbol.type == 'A' ? symbol.address
                                                          : base - 1 - symbol.address));
        break;
      case AddressEncoding::pc_relative:
        put(static_cast<std::uint32_t>(symbol.address - (place_ + out_.bytes.size())));
        break;
    }
  }

  void put_names() {
    out_.num_syms = align();
    put(static_cast<std::uint32_t>(symbols_.size()));
    out_.names = align();
    std::vector<std::size_t> markers;
    for (std::size_t i = 0; i < symbols_.size(); ++i) {
      if (i % 256 == 0) markers.push_back(out_.bytes.size() - out_.names);
      const auto codes = compress(symbols_[i].type + symbols_[i].name);
      if (codes.size() >= 0x80) put(static_cast<std::uint8_t>(codes.size() | 0x80U));
      put(static_cast<std::uint8_t>(codes.size() >= 0x80 ? codes.size() >> 7U : codes.size()));
      for (const std::uint8_t code : codes) put(code);
    }
    out_.markers = align();
    for (const std::size_t marker : markers) {
      if (recipe_.marker_size == 8) put(std::uint64_t{marker});
      if (recipe_.marker_size == 4) put(static_cast<std::uint32_t>(marker));
    }
  }

  void put_sequence() {
    align();
    const auto count = static_cast<std::uint32_t>(symbols_.size());
    for (std::uint32_t i = 0; i < count; ++i) put((i * 7919U) % count);  // any permutation does
  }

  void put_tokens() {
    align();
    for (const char c : recipe_.stray) put(c);
    out_.token_table = out_.bytes.size();
    std::vector<std::uint16_t> index;
    for (const std::string& token : tokens_) {
      index.push_back(static_cast<std::uint16_t>(out_.bytes.size() - out_.token_table));
      for (const char c : token) put(c);
      put('\0');
    }
    out_.token_index = align();
    for (const std::uint16_t offset : index) put(offset);
  }

  Recipe recipe_;
  std::vector<TestSymbol> symbols_;
  std::uint64_t place_;
  std::array<std::string, 256> tokens_;
  std::vector<std::uint8_t> long_codes_;  ///< of tokens that are not one character
  Written out_;
};

}  // namespace engram::types::test
