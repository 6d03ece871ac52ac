// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Roots whose page tables are mapped through themselves, as Windows maps its own: one of the tables
// of a space is an entry of itself. Processors need no such thing, so that it tells a root from
// other pages without anything being known of the machine.

#include <functional>
#include <optional>
#include <span>

#include "paging/address_space.h"

namespace engram::paging {

/// One kind of root that is looked for.
struct SelfMapped {
  Mode mode;
  VirtAddr known;            ///< an address that every such root maps; in the upper half
  std::uint64_t most_bytes;  ///< of memory that the image has: so much is looked at
};

struct FoundRoot {
  Mode mode;
  PhysAddr root;
};

/// The first root, in order of physical address, of any of `kinds` that maps itself and the known
/// address of its kind, and for which `accept` returns true; nothing if there is none. Of x86-64,
/// arm64 and x86 without PAE any entry of the root's upper half may lead to the root. With PAE the
/// table behind the last entry of the root has in its first four entries what the root has; of
/// these roots, which have 32 bytes, at most kMostTables tables are looked for.
[[nodiscard]] std::optional<FoundRoot> find_self_mapped_root(
    const guest::Memory& memory, std::span<const SelfMapped> kinds,
    const std::function<bool(const FoundRoot&)>& accept);

inline constexpr unsigned kMostTables = 16;

}  // namespace engram::paging
