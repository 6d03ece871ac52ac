// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an architecture tells the walk: the meaning of one page-table entry, and the width of an
// address.
//
// To add an architecture: a file that defines its Format, and a line in find_format()
// (address_space.cc). Tables of all supported formats hold 512 entries of 8 bytes; the lowest level
// is 1, the root's is Format::levels.

#include <cstdint>
#include <optional>

#include "paging/address_space.h"

namespace engram::paging {

inline constexpr unsigned kIndexBits = 9;  ///< of an address for each level of tables
inline constexpr std::uint64_t kEntriesPerTable = 1U << kIndexBits;
inline constexpr std::uint64_t kEntrySize = sizeof(std::uint64_t);  ///< bytes
inline constexpr unsigned kMaxLevels = 5;

/// Bytes of address space behind one entry of a table of this level (1 to kMaxLevels).
constexpr std::uint64_t entry_span(unsigned level) {
  return kPageSize << (kIndexBits * (level - 1));
}

// Shifts and masks: the compiler does not know that a span is a power of two, and divides.
constexpr std::uint64_t table_index(VirtAddr address, unsigned level) {
  return address.value / kPageSize >> (kIndexBits * (level - 1)) & (kEntriesPerTable - 1);
}
constexpr std::uint64_t offset_in(std::uint64_t span, VirtAddr address) {
  return address.value & (span - 1);
}

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

struct Format {
  unsigned levels;
  unsigned address_bits;    ///< addresses are sign-extended from the highest of these
  std::uint64_t root_mask;  ///< the bits of the root register that are the root's address
  /// An entry of level 1 is never a table, and a page of level n spans entry_span(n).
  Entry (*decode)(std::uint64_t entry, unsigned level);

  [[nodiscard]] bool is_canonical(VirtAddr address) const {
    const unsigned unused = 64 - address_bits;
    const auto extended = static_cast<std::int64_t>(address.value << unused) >> unused;
    return static_cast<std::uint64_t>(extended) == address.value;
  }
};

/// The format of `mode`; null if engram does not know the architecture or its number of levels.
[[nodiscard]] const Format* find_format(Mode mode);

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
