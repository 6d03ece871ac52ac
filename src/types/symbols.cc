// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/symbols.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "base/lazy.h"
#include "types/name_hash.h"

namespace engram::types {
namespace {

constexpr std::uint64_t kUpperHalf = std::uint64_t{1} << 63U;

/// So many names are looked up in a source, each by a pass over it, before all are decoded and
/// indexed, which costs as much as some hundred passes.
constexpr unsigned kFewNames = 200;

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

struct SymbolTable::State {
  std::shared_ptr<const SymbolSource> source;
  std::atomic<unsigned> asked = 0;  ///< how many names were looked up in it

  Once decoded, names_indexed, addresses_indexed;
  Builder lists;                          ///< of a source: once they are decoded
  mapping::BulkVector<NameSlot> by_name;  ///< open addressing; its size is 0 or a power of two
  std::uint64_t hash_seed = 0;
  mapping::BulkVector<std::uint32_t>
      by_address;                      ///< indices of symbols, sorted by address, then by index
  std::vector<Builder::Range> ranges;  ///< sorted by start
  std::vector<bool> has_range;         ///< by module
};

SymbolTable::SymbolTable() : state_(std::make_unique<State>()) {}
SymbolTable::SymbolTable(std::shared_ptr<const SymbolSource> source) : SymbolTable() {
  state_->source = std::move(source);
}
SymbolTable::SymbolTable(SymbolTable&&) noexcept = default;
SymbolTable& SymbolTable::operator=(SymbolTable&&) noexcept = default;
SymbolTable::~SymbolTable() = default;

SymbolTable SymbolTable::Builder::build() && {
  SymbolTable table;
  table.state_->lists = std::move(*this);
  return table;
}

const SymbolTable::Builder& SymbolTable::lists() const {
  State& state = *state_;
  if (state.source) {
    state.decoded.call([&] { state.source->decode(state.lists); });
  }
  return state.lists;
}

void SymbolTable::index_names() const {
  const auto symbols = lists().symbols();
  if (symbols.empty()) return;
  State& state = *state_;
  state.hash_seed = random_seed();
  // At most half full: clusters stay short.
  state.by_name.resize(std::bit_ceil(symbols.size() * 2), NameSlot());
  // Slots are all over a table larger than the cache: they are asked for a batch ahead.
  std::array<std::uint64_t, 32> hashes;
  for (std::size_t first = 0; first < symbols.size(); first += hashes.size()) {
    const std::size_t count = std::min(hashes.size(), symbols.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = name_hash(name(symbols[first + i]), state.hash_seed);
      __builtin_prefetch(&state.by_name[hashes[i] & (state.by_name.size() - 1)], 1);
    }
    for (std::size_t i = 0; i < count; ++i) insert_name(first + i, hashes[i]);
  }
}

void SymbolTable::insert_name(std::size_t index, std::uint64_t hash) const {
  const auto symbols = lists().symbols();
  auto& slots = state_->by_name;
  const Symbol& symbol = symbols[index];
  const NameSlot mine{tag_of(hash), static_cast<std::uint32_t>(index + 1)};
  const std::size_t mask = slots.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    NameSlot& slot = slots[at];
    if (slot.index_plus_1 == 0) {
      slot = mine;
      return;
    }
    if (slot.tag != mine.tag) continue;
    const Symbol& other = symbols[slot.index_plus_1 - 1];
    if (name(other) != name(symbol)) continue;
    if (other.module != 0 && symbol.module == 0) slot = mine;
    return;
  }
}

void SymbolTable::index_addresses() const {
  const auto symbols = lists().symbols();
  State& state = *state_;
  auto& order = state.by_address;
  order.reserve(symbols.size());
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].address.value >= kUpperHalf) order.push_back(static_cast<std::uint32_t>(i));
  }
  const auto lower = [&](std::uint32_t a, std::uint32_t b) {
    return symbols[a].address < symbols[b].address;
  };
  // The kernel's own symbols ascend already, and they are by far the most.
  const auto tail = std::is_sorted_until(order.begin(), order.end(), lower);
  std::stable_sort(tail, order.end(), lower);
  std::inplace_merge(order.begin(), tail, order.end(), lower);

  state.ranges = lists().ranges_;
  state.has_range.assign(lists().modules_.size(), false);
  for (const Range& range : state.ranges) state.has_range[range.module] = true;
  std::stable_sort(state.ranges.begin(), state.ranges.end(),
                   [](const Range& a, const Range& b) { return a.start < b.start; });
}

const Symbol* SymbolTable::find(std::string_view wanted) const {
  state_->names_indexed.call([this] { index_names(); });
  const auto& slots = state_->by_name;
  if (slots.empty()) return nullptr;
  const std::uint64_t hash = name_hash(wanted, state_->hash_seed);
  const std::size_t mask = slots.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const NameSlot& slot = slots[at];
    if (slot.index_plus_1 == 0) return nullptr;
    if (slot.tag != tag_of(hash)) continue;
    const Symbol& symbol = symbols()[slot.index_plus_1 - 1];
    if (name(symbol) == wanted) return &symbol;
  }
}

std::optional<VirtAddr> SymbolTable::address_of(std::string_view wanted) const {
  if (state_->source && state_->asked.load(std::memory_order_relaxed) < kFewNames) {
    state_->asked.fetch_add(1, std::memory_order_relaxed);
    return state_->source->address_of(wanted);
  }
  const Symbol* symbol = find(wanted);
  if (symbol == nullptr) return std::nullopt;
  return symbol->address;
}

std::optional<Location> SymbolTable::find(VirtAddr address) const {
  state_->addresses_indexed.call([this] { index_addresses(); });
  const auto symbols = this->symbols();
  const auto& order = state_->by_address;
  const auto behind = std::upper_bound(
      order.begin(), order.end(), address,
      [&](VirtAddr wanted, std::uint32_t i) { return wanted < symbols[i].address; });
  if (behind == order.begin()) return std::nullopt;
  const VirtAddr nearest = symbols[*std::prev(behind)].address;
  const auto first = std::lower_bound(
      order.begin(), behind, nearest,
      [&](std::uint32_t i, VirtAddr wanted) { return symbols[i].address < wanted; });
  const Symbol& symbol = symbols[*first];
  if (!reaches(symbol, address)) return std::nullopt;
  return Location{&symbol, address - symbol.address};
}

bool SymbolTable::reaches(const Symbol& symbol, VirtAddr address) const {
  const auto& ranges = state_->ranges;
  const auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), address,
                       [](VirtAddr wanted, const Range& range) { return wanted < range.start; });
  if (behind != ranges.begin() && address < std::prev(behind)->end) {
    const Range& range = *std::prev(behind);
    return range.module == symbol.module && range.start <= symbol.address;
  }
  return !state_->has_range[symbol.module] && address - symbol.address < kReachWithoutRange;
}

}  // namespace engram::types
