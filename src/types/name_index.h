// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// An index of types by name: pairs of hash and type number, sorted, which no choice of names can
// slow down to more than one pass a look-up.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "types/type_db.h"

namespace engram::types {

class NameIndex {
 public:
  void add(std::string_view name, TypeId type) { entries_.push_back(entry(name, type)); }

  /// Once all are added. `replaces(later, earlier)`: both have the same name, and one of the two is
  /// to be kept.
  template <class SameName, class Replaces>
  void sort(const SameName& same_name, const Replaces& replaces) {
    std::sort(entries_.begin(), entries_.end());
    std::size_t kept = 0;
    for (const std::uint64_t entry : entries_) {
      const bool known = kept != 0 && hash_of(entries_[kept - 1]) == hash_of(entry) &&
                         same_name(type_of(entries_[kept - 1]), type_of(entry));
      if (!known) {
        entries_[kept++] = entry;
      } else if (replaces(type_of(entry), type_of(entries_[kept - 1]))) {
        entries_[kept - 1] = entry;
      }
    }
    entries_.resize(kept);
    entries_.shrink_to_fit();
  }

  /// Calls `visit` with every type that may have this name.
  template <class Visit>
  void for_each(std::string_view name, const Visit& visit) const {
    const std::uint64_t first = entry(name, 0);
    for (auto at = std::lower_bound(entries_.begin(), entries_.end(), first);
         at != entries_.end() && hash_of(*at) == hash_of(first); ++at) {
      visit(type_of(*at));
    }
  }

 private:
  static std::uint64_t entry(std::string_view name, TypeId type) {
    return (std::uint64_t{std::hash<std::string_view>()(name)} << 32U) | type;
  }
  static std::uint32_t hash_of(std::uint64_t entry) {
    return static_cast<std::uint32_t>(entry >> 32U);
  }
  static TypeId type_of(std::uint64_t entry) { return static_cast<TypeId>(entry); }

  std::vector<std::uint64_t> entries_;
};

}  // namespace engram::types
