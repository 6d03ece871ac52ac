// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The compressed names of kallsyms: found through their markers, checked against them, and
// expanded.
//
// scripts/kallsyms.c writes kallsyms_num_syms, kallsyms_names and kallsyms_markers one behind the
// other, and the token table behind them (6.2 and 6.3, and 6.1 stable, put kallsyms_seqs_of_names
// in between). A name is its length in tokens (one byte; two, low seven bits first, where bit 7 is
// set: 6.1 and later), then one byte a token; the first character of its text is the symbol's type.
// Marker i is the offset of name 256 * i.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "mapping/bulk.h"
#include "paging/address_space.h"
#include "types/kallsyms_tokens.h"

namespace engram::types {

/// Ten times what today's distributions have, and still bounded memory for a hostile image.
inline constexpr std::uint32_t kMostSymbols = 1U << 21U;
/// Names a marker.
inline constexpr std::uint32_t kNamesPerMarker = 256;
/// Of one expanded name with its type; the kernel's own limit is 512 (KSYM_NAME_LEN).
inline constexpr std::size_t kLongestName = 2048;
inline constexpr std::size_t kMostNameText = 48 * kMiB;

/// Names that have been found and walked from the first to the last, all markers agreeing.
struct NameArea {
  VirtAddr num_syms, names, markers;
  unsigned marker_size = 4;  ///< bytes: 8 before 5.0
  std::uint32_t count = 0;
  std::vector<std::uint32_t> blocks;     ///< the markers: where names 0, 256, 512 ... begin
  mapping::BulkVector<std::byte> bytes;  ///< the compressed names lie in them ...
  std::size_t first = 0;                 ///< ... from here
  std::size_t size = 0;

  [[nodiscard]] Bytes compressed() const { return Bytes(bytes).subspan(first, size); }
};

/// The symbols that prove an address encoding right, by their places in the list.
enum class Landmark : std::uint8_t {
  text,
  stext,
  etext,
  sinittext,
  einittext,
  end,
  linux_banner,
  num_syms,
  names,
  count
};
using Landmarks =
    std::array<std::optional<std::uint32_t>, static_cast<std::size_t>(Landmark::count)>;
/// The symbol's own.
[[nodiscard]] std::string_view landmark_name(Landmark landmark);

/// The names in front of the token table at `table`.
/// Errors: no markers in front of it, or none whose names and number of symbols agree with them;
/// how far it came.
[[nodiscard]] Result<NameArea> find_names(const paging::AddressSpace& space, VirtAddr table);

/// The names whose places, count and size `known` gives; fills in its bytes and blocks. Nothing is
/// checked but that all of it can be read, and that the number of symbols is `known.count`.
/// Errors: not so; limits exceeded.
[[nodiscard]] Result<NameArea> read_names(const paging::AddressSpace& space, NameArea known);

/// Expands names.
class NameReader {
 public:
  /// Both are borrowed.
  NameReader(Bytes compressed, const TokenTable& tokens);

  /// What one name is expanded into.
  using Text = std::array<char, kLongestName + 16>;

  /// The type and the text of the name at `at`, which is moved behind it; in `into`.
  /// Errors: a name that ends behind the area, is empty or longer than kLongestName; the text says
  /// what is wrong with it.
  [[nodiscard]] Result<std::string_view, const char*> next(std::size_t& at, Text& into) const;
  /// Moves `at` behind the name there. False if there is none.
  [[nodiscard]] bool skip(std::size_t& at) const;

 private:
  static constexpr std::size_t kShort = 16;
  static_assert(sizeof(Text) >= kLongestName + kShort);

  Bytes compressed_;
  const TokenTable& tokens_;
  // Tokens in a form that is copied without a branch on their length.
  std::array<std::array<char, kShort>, 256> short_{};
  std::array<std::uint16_t, 256> length_{};
};

/// A number a name, by which it is found without the names being kept.
struct NameNumbers {
  std::uint64_t seed = 0;
  mapping::BulkVector<std::uint32_t> values;
  Landmarks landmarks;
};

[[nodiscard]] std::uint32_t name_number(std::string_view name, std::uint64_t seed);

/// The numbers of all names, each of which is expanded and checked.
/// Errors: those of NameReader::next(); more than kMostNameText in all.
[[nodiscard]] Result<NameNumbers> number_names(const NameArea& names, const TokenTable& tokens,
                                               std::uint64_t seed);

/// The readable bytes that end at `end`, at most `limit`; what lies before an unreadable one is
/// left out.
[[nodiscard]] mapping::BulkVector<std::byte> read_before(const paging::AddressSpace& space,
                                                         VirtAddr end, std::size_t limit);

}  // namespace engram::types
