// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an architecture tells the walk: the shape of its tables, the meaning of one entry, and the
// width of an address.
//
// To add an architecture: a file that defines its Format, and a line in find_format()
// (address_space.cc). The lowest level of tables is 1, the root's is Format::levels.

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "paging/address_space.h"

namespace engram::paging {

inline constexpr unsigned kMaxLevels = 5;

/// One entry, decoded.
struct Entry {
  enum class Kind : std::uint8_t {
    not_present,
    prototype,
    page_file,
    demand_zero,
    reserved_bits,
    table,
    page
  };

  Kind kind = Kind::not_present;
  Access access;      ///< what this entry alone allows
  PhysAddr physical;  ///< of the next table, or of the page's first byte
};

/// The bits of an address that choose an entry of a table.
struct IndexBits {
  std::uint8_t shift = 0;  ///< the lowest one: an entry stands for 2^shift bytes of address space
  std::uint16_t mask = 0;  ///< a table has one entry more
};

inline constexpr unsigned kWordShift = 3;

/// An entry of 4 bytes.
[[nodiscard]] inline std::optional<std::uint64_t> load_half_word(const guest::Memory& memory,
                                                                 PhysAddr at) {
  const std::uint64_t skip = at.value % sizeof(std::uint64_t);
  const auto word = memory.load_word(at - skip);
  if (!word) return std::nullopt;
  return static_cast<std::uint32_t>(*word >> (skip * 8));
}

/// Tables of level 1 stand for a multiple of 2 MiB (which the walk cache relies on), and tables
/// other than the root begin at multiples of 4 KiB.
struct Format {
  unsigned levels;
  /// Addresses are those of so many bits at the lower end of the 64-bit space and, if there is an
  /// upper end, the same number of addresses there.
  unsigned address_bits;
  bool has_upper_end;
  unsigned tag_bits;        ///< uppermost bits of an address that are no part of it
  unsigned entry_shift;     ///< an entry has 2^entry_shift bytes: 4 or 8
  std::uint64_t root_mask;  ///< the bits of the root register that are the root's address
  std::array<IndexBits, kMaxLevels> index_bits;  ///< of level 1 first
  /// An entry of level 1 is never a table, and a page of level n has span(n) bytes.
  Entry (*decode)(std::uint64_t entry, unsigned level);

  /// Bytes of address space behind one entry of a table of this level (1 to levels).
  [[nodiscard]] std::uint64_t span(unsigned level) const {
    return std::uint64_t{1} << index_bits[level - 1].shift;
  }
  [[nodiscard]] std::uint64_t index(VirtAddr address, unsigned level) const {
    const IndexBits bits = index_bits[level - 1];
    return address.value >> bits.shift & bits.mask;
  }
  /// Where the entry for `address` lies in a table of this level.
  [[nodiscard]] PhysAddr entry_at(PhysAddr table, VirtAddr address, unsigned level) const {
    return table + (index(address, level) << entry_shift);
  }
  /// Nothing if the image does not have all of its bytes. `at` is a multiple of its size.
  [[nodiscard]] std::optional<std::uint64_t> load_entry(const guest::Memory& memory,
                                                        PhysAddr at) const {
    return entry_shift == kWordShift ? memory.load_word(at) : load_half_word(memory, at);
  }
  [[nodiscard]] std::uint64_t entry_size() const { return std::uint64_t{1} << entry_shift; }

  /// The address without its tag: what is left is sign-extended.
  [[nodiscard]] std::uint64_t untagged(VirtAddr address) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(address.value << tag_bits) >>
                                      tag_bits);
  }
  [[nodiscard]] bool is_upper(VirtAddr address) const { return untagged(address) >> 63U != 0; }
  [[nodiscard]] bool is_canonical(VirtAddr address) const {
    const auto rest = static_cast<std::int64_t>(untagged(address)) >> address_bits;
    return rest == 0 || (rest == -1 && has_upper_end);
  }
};

// A mask: the compiler does not know that a span is a power of two, and divides.
constexpr std::uint64_t offset_in(std::uint64_t span, VirtAddr address) {
  return address.value & (span - 1);
}

/// Of tables that all have 512 entries of 8 bytes, and pages of 4 KiB.
constexpr std::array<IndexBits, kMaxLevels> index_bits_of_512() {
  return {{{12, 511}, {21, 511}, {30, 511}, {39, 511}, {48, 511}}};
}

/// The format of `mode`; null if engram does not know it.
[[nodiscard]] const Format* find_format(const Mode& mode);

constexpr Access both(Access a, Access b) {
  return {a.writable && b.writable, a.executable && b.executable, a.user && b.user};
}

/// Where a walk stands: the table that it looks at next, and what the entries above it allow.
struct WalkState {
  PhysAddr table;
  unsigned level = 0;
  Access access{.writable = true, .executable = true, .user = true};
};

/// Follows the tables from `state` down to the page of `address`. If there is one, `state` ends at
/// the table that holds its entry.
[[nodiscard]] Result<Translation, Fault> descend(const guest::Memory& memory, const Format& format,
                                                 VirtAddr address, WalkState& state);

}  // namespace engram::paging
