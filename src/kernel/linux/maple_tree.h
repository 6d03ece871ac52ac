// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Maple trees: what the kernel keeps ranges in since 6.1 (include/linux/maple_tree.h).

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

/// What is stored for the indexes from first to last.
struct MapleEntry {
  std::uint64_t first = 0, last = 0;
  VirtAddr value;
};

class MapleTreeWalker {
 public:
  using Visit = std::function<bool(const MapleEntry&)>;

  MapleTreeWalker(const types::TypeDb& types, Diagnostics& diagnostics);

  /// Calls `visit` for every entry that is a pointer, in index order, until it returns false.
  /// `tree` is the address of the struct maple_tree. A node that cannot be read, does not lead back
  /// to the one above, or contradicts itself is one diagnostics row of `reader`, and only what lies
  /// below it is passed over. False if there was one, or if a node was replaced on the way.
  bool walk(const Reader& reader, VirtAddr tree, std::string_view what, const Visit& visit) const;

 private:
  struct Walk;
  struct Place;
  struct Shape {  ///< of a node, in words
    std::size_t first_pivot = 0, pivots = 0, first_slot = 0, slots = 0;
  };

  [[nodiscard]] static std::optional<Shape> shape_of(const types::TypeDb& types,
                                                     Diagnostics& diagnostics,
                                                     std::string_view structure);
  bool visit_node(Walk& walk, const Place& place) const;
  bool visit_slots(Walk& walk, const Place& place, std::span<const std::uint64_t> words,
                   const Shape& shape, bool is_leaf) const;

  Field<std::uint64_t> root_;
  std::optional<Shape> range_, allocation_range_;
};

}  // namespace engram::kernel
