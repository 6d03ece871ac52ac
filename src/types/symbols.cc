// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/symbols.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <random>
#include <utility>

#include "base/bytes.h"

namespace engram::types {
namespace {

constexpr std::uint64_t kUpperHalf = std::uint64_t{1} << 63U;

__extension__ using Wide = unsigned __int128;

/// Eight bytes a step, mixed by a multiplication of which both halves are kept. The names come from
/// the image: without a seed that it cannot know, it could make all of them collide.
std::uint64_t hash_of(std::string_view name, std::uint64_t seed) {
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio, odd
  const auto mix = [seed](std::uint64_t hash, std::uint64_t word) {
    const Wide product = static_cast<Wide>(hash ^ word) * (seed | 1U);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  };
  const auto bytes = std::as_bytes(std::span(name));
  std::uint64_t hash = seed ^ (name.size() * kMultiplier);
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    hash = mix(hash, load_unaligned<std::uint64_t>(bytes.data() + at)) + kMultiplier;
  }
  std::uint64_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  return mix(hash, rest);
}

std::uint64_t random_seed() {
  std::random_device source;
  return (std::uint64_t{source()} << 32U) | source();
}

std::uint32_t tag_of(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32U);
}

}  // namespace

SymbolTable::Builder::Builder() : modules_{std::string()} {}

std::uint16_t SymbolTable::Builder::add_module(std::string_view name) {
  if (modules_.size() <= std::numeric_limits<std::uint16_t>::max()) modules_.emplace_back(name);
  return static_cast<std::uint16_t>(modules_.size() - 1);
}

bool SymbolTable::Builder::add(std::string_view name, VirtAddr address, char type,
                               std::uint16_t module) {
  name = name.substr(0, std::numeric_limits<std::uint16_t>::max());
  constexpr std::uint64_t kTextLimit = std::numeric_limits<std::uint32_t>::max();
  if (text_.size() + name.size() > kTextLimit || symbols_.size() >= kTextLimit) return false;
  symbols_.push_back({.address = address,
                      .name_offset = static_cast<std::uint32_t>(text_.size()),
                      .name_length = static_cast<std::uint16_t>(name.size()),
                      .module = module < modules_.size() ? module : std::uint16_t{0},
                      .type = type});
  text_.append(name);
  return true;
}

void SymbolTable::Builder::add_range(VirtAddr start, VirtAddr end, std::uint16_t module) {
  if (start < end && module < modules_.size()) ranges_.push_back({start, end, module});
}

void SymbolTable::Builder::reserve(std::size_t symbols, std::size_t text_bytes) {
  symbols_.reserve(symbols);
  text_.reserve(text_bytes);
}

SymbolTable SymbolTable::Builder::build() && {
  SymbolTable table;
  table.text_ = std::move(text_);
  table.modules_ = std::move(modules_);
  table.symbols_ = std::move(symbols_);
  table.ranges_ = std::move(ranges_);
  table.index_names();
  table.index_addresses();
  table.index_ranges();
  return table;
}

void SymbolTable::index_names() {
  if (symbols_.empty()) return;
  hash_seed_ = random_seed();
  by_name_.resize(std::bit_ceil(symbols_.size() * 2));  // at most half full: clusters stay short
  // Slots are all over a table larger than the cache: they are asked for a batch ahead.
  std::array<std::uint64_t, 32> hashes;
  for (std::size_t first = 0; first < symbols_.size(); first += hashes.size()) {
    const std::size_t count = std::min(hashes.size(), symbols_.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash_of(name(symbols_[first + i]), hash_seed_);
      __builtin_prefetch(&by_name_[hashes[i] & (by_name_.size() - 1)], 1);
    }
    for (std::size_t i = 0; i < count; ++i) insert_name(first + i, hashes[i]);
  }
}

void SymbolTable::insert_name(std::size_t index, std::uint64_t hash) {
  const Symbol& symbol = symbols_[index];
  const NameSlot mine{tag_of(hash), static_cast<std::uint32_t>(index + 1)};
  const std::size_t mask = by_name_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    NameSlot& slot = by_name_[at];
    if (slot.index_plus_1 == 0) {
      slot = mine;
      return;
    }
    if (slot.tag != mine.tag) continue;
    const Symbol& other = symbols_[slot.index_plus_1 - 1];
    if (name(other) != name(symbol)) continue;
    if (other.module != 0 && symbol.module == 0) slot = mine;
    return;
  }
}

void SymbolTable::index_addresses() {
  by_address_.reserve(symbols_.size());
  for (std::size_t i = 0; i < symbols_.size(); ++i) {
    if (symbols_[i].address.value >= kUpperHalf)
      by_address_.push_back(static_cast<std::uint32_t>(i));
  }
  const auto lower = [this](std::uint32_t a, std::uint32_t b) {
    return symbols_[a].address < symbols_[b].address;
  };
  // The kernel's own symbols ascend already, and they are by far the most.
  const auto tail = std::is_sorted_until(by_address_.begin(), by_address_.end(), lower);
  std::stable_sort(tail, by_address_.end(), lower);
  std::inplace_merge(by_address_.begin(), tail, by_address_.end(), lower);
}

void SymbolTable::index_ranges() {
  has_range_.assign(modules_.size(), false);
  for (const Range& range : ranges_) has_range_[range.module] = true;
  std::stable_sort(ranges_.begin(), ranges_.end(),
                   [](const Range& a, const Range& b) { return a.start < b.start; });
}

const Symbol* SymbolTable::find(std::string_view wanted) const {
  if (by_name_.empty()) return nullptr;
  const std::uint64_t hash = hash_of(wanted, hash_seed_);
  const std::size_t mask = by_name_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const NameSlot& slot = by_name_[at];
    if (slot.index_plus_1 == 0) return nullptr;
    if (slot.tag != tag_of(hash)) continue;
    const Symbol& symbol = symbols_[slot.index_plus_1 - 1];
    if (name(symbol) == wanted) return &symbol;
  }
}

std::optional<VirtAddr> SymbolTable::address_of(std::string_view wanted) const {
  const Symbol* symbol = find(wanted);
  if (symbol == nullptr) return std::nullopt;
  return symbol->address;
}

std::optional<Location> SymbolTable::find(VirtAddr address) const {
  const auto behind = std::upper_bound(
      by_address_.begin(), by_address_.end(), address,
      [this](VirtAddr wanted, std::uint32_t i) { return wanted < symbols_[i].address; });
  if (behind == by_address_.begin()) return std::nullopt;
  const VirtAddr nearest = symbols_[*std::prev(behind)].address;
  const auto first = std::lower_bound(
      by_address_.begin(), behind, nearest,
      [this](std::uint32_t i, VirtAddr wanted) { return symbols_[i].address < wanted; });
  const Symbol& symbol = symbols_[*first];
  if (!reaches(symbol, address)) return std::nullopt;
  return Location{&symbol, address - symbol.address};
}

bool SymbolTable::reaches(const Symbol& symbol, VirtAddr address) const {
  const auto behind =
      std::upper_bound(ranges_.begin(), ranges_.end(), address,
                       [](VirtAddr wanted, const Range& range) { return wanted < range.start; });
  if (behind != ranges_.begin() && address < std::prev(behind)->end) {
    const Range& range = *std::prev(behind);
    return range.module == symbol.module && range.start <= symbol.address;
  }
  return !has_range_[symbol.module] && address - symbol.address < kReachWithoutRange;
}

}  // namespace engram::types
