// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms_source.h"

#include <algorithm>
#include <span>

namespace engram::types {
namespace {

/// The place of `wanted` in `values` at or behind `from`, or their number.
std::size_t find_number(std::span<const std::uint32_t> values, std::size_t from,
                        std::uint32_t wanted) {
  // Blocks without an early exit within are compiled to vector instructions.
  constexpr std::size_t kBlock = 64;
  std::size_t at = from;
  for (; values.size() - at >= kBlock; at += kBlock) {
    std::uint32_t hits = 0;
    for (std::size_t i = 0; i < kBlock; ++i) hits += values[at + i] == wanted ? 1U : 0U;
    if (hits != 0) break;
  }
  const auto found =
      std::find(values.begin() + static_cast<std::ptrdiff_t>(at), values.end(), wanted);
  return static_cast<std::size_t>(found - values.begin());
}

}  // namespace

KallsymsSource::KallsymsSource(const TokenTable& tokens, NameArea names,
                               KallsymsAddresses addresses, NameNumbers numbers)
    : tokens_(tokens),
      names_(std::move(names)),
      addresses_(std::move(addresses)),
      numbers_(std::move(numbers)),
      reader_(names_.compressed(), tokens_) {}

bool KallsymsSource::is_named(std::uint32_t index, std::string_view name) const {
  const std::uint32_t block = index / kNamesPerMarker;
  if (block >= names_.blocks.size()) return false;
  std::size_t at = names_.blocks[block];
  for (std::uint32_t i = index % kNamesPerMarker; i != 0; --i) {
    if (!reader_.skip(at)) return false;
  }
  NameReader::Text scratch;
  const auto text = reader_.next(at, scratch);
  return text && text->substr(1) == name;
}

std::optional<std::uint32_t> KallsymsSource::find(std::string_view name) const {
  const std::span<const std::uint32_t> values(numbers_.values);
  const std::uint32_t wanted = name_number(name, numbers_.seed);
  for (std::size_t at = find_number(values, 0, wanted); at != values.size();
       at = find_number(values, at + 1, wanted)) {
    const auto index = static_cast<std::uint32_t>(at);
    if (is_named(index, name)) return index;
  }
  return std::nullopt;
}

std::optional<VirtAddr> KallsymsSource::address_of(std::string_view name) const {
  const auto index = find(name);
  if (!index || *index >= addresses_.values.size()) return std::nullopt;
  return addresses_.values[*index];
}

void KallsymsSource::decode(SymbolTable::Builder& into) const {
  const std::size_t count = addresses_.values.size();
  // Tokens save about half; an estimate that is too low costs a copy, no more.
  into.reserve(count, std::min(names_.size / 2 * 5, kMostNameText));
  NameReader::Text scratch;
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto text = reader_.next(at, scratch);
    if (!text) break;
    into.add(text->substr(1), addresses_.values[i], text->front());
  }
  for (const auto& [start, end] : ranges_) into.add_range(start, end);
}

}  // namespace engram::types
