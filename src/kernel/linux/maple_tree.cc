// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/maple_tree.h"

#include <fmt/core.h>

#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kernel/linux/live_walk.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kNodeWords = 32;     // MAPLE_NODE_SLOTS + 1: a node has 256 bytes
constexpr std::uint64_t kNodeMask = 0xff;  // nodes are aligned to their size
constexpr std::uint64_t kRootParent = 1;   // MA_ROOT_PARENT: the parent is the tree itself
constexpr unsigned kDepthLimit = 31;       // MAPLE_HEIGHT_MAX
constexpr std::size_t kNodeLimit = 1U << 18U;

// enum maple_type, in bits 3 to 6 of a pointer to a node (mte_node_type(), lib/maple_tree.c).
enum NodeType : std::uint64_t { leaf_64 = 1, range_64 = 2, arange_64 = 3 };

NodeType type_of(std::uint64_t encoded_node) {
  return static_cast<NodeType>((encoded_node >> 3U) & 0xfU);
}
// xa_is_internal() and above the reserved entries: the root is a node, not an entry.
bool is_root_node(std::uint64_t root) {
  return (root & 3U) == 2 && root > 4096;
}
// Not NULL, not a reserved entry (XA_ZERO_ENTRY stands for what fork() has not copied), no value.
bool is_pointer(std::uint64_t entry) {
  return (entry & 3U) == 0 && entry != 0;
}

}  // namespace

/// Where a node hangs, and the indexes that are its own.
struct MapleTreeWalker::Place {
  std::uint64_t encoded = 0;  ///< pointer to the node and its type
  std::uint64_t parent = 0;   ///< the node above; of the root, the tree with kRootParent
  std::uint64_t min = 0, max = 0;
  unsigned depth = 0;

  [[nodiscard]] VirtAddr node() const { return VirtAddr(encoded & ~kNodeMask); }
};

struct MapleTreeWalker::Walk {
  const Reader& reader;
  std::string_view what;
  const Visit& visit;
  std::unordered_set<std::uint64_t> seen = {};
  bool is_good = true;
  FollowedWords path = {};

  void report(VirtAddr node, std::string_view reason) {
    is_good = false;
    reader.report(what, node, reason);
  }
};

std::optional<MapleTreeWalker::Shape> MapleTreeWalker::shape_of(const types::TypeDb& types,
                                                                Diagnostics& diagnostics,
                                                                std::string_view structure) {
  const Layout layout(types, diagnostics, structure);
  const auto pivot_offset = layout.offset_of("pivot"), slot_offset = layout.offset_of("slot");
  const auto pivot = types.find_member(structure, "pivot");
  const auto slot = types.find_member(structure, "slot");
  if (!pivot_offset || !slot_offset || !pivot || !slot) return std::nullopt;
  const auto pivots = types.element_count(types.resolve(pivot->type));
  const auto slots = types.element_count(types.resolve(slot->type));
  constexpr std::uint64_t kWord = sizeof(std::uint64_t);
  const std::uint64_t first_pivot = *pivot_offset / kWord, first_slot = *slot_offset / kWord;
  if (!pivots || !slots || *pivots > kNodeWords || *slots > kNodeWords ||
      first_pivot > kNodeWords - *pivots || first_slot > kNodeWords - *slots) {
    diagnostics.add(Level::warning, "types",
                    fmt::format("struct {}: pivots and slots in 256 bytes expected", structure));
    return std::nullopt;
  }
  return Shape{static_cast<std::size_t>(first_pivot), static_cast<std::size_t>(*pivots),
               static_cast<std::size_t>(first_slot), static_cast<std::size_t>(*slots)};
}

MapleTreeWalker::MapleTreeWalker(const types::TypeDb& types, Diagnostics& diagnostics)
    : root_(Layout(types, diagnostics, "maple_tree").field<std::uint64_t>("ma_root")),
      range_(shape_of(types, diagnostics, "maple_range_64")),
      allocation_range_(shape_of(types, diagnostics, "maple_arange_64")) {}

bool MapleTreeWalker::walk(const Reader& reader, VirtAddr tree, std::string_view what,
                           const Visit& visit) const {
  const auto root = reader.get(tree, root_);
  if (!root) return false;
  if (!is_root_node(*root)) {  // a tree that holds something at index 0 only needs no node
    if (is_pointer(*root)) visit({0, 0, VirtAddr(*root)});
    return true;
  }
  Walk walk{reader, what, visit};
  walk.path.push(tree + *root_.offset, *root);
  visit_node(walk, {*root, tree.value | kRootParent, 0, ~std::uint64_t{0}, 1});
  return walk.is_good;
}

bool MapleTreeWalker::visit_node(Walk& walk, const Place& place) const {
  const VirtAddr node = place.node();
  const auto type = type_of(place.encoded);
  const auto& shape = type == arange_64 ? allocation_range_ : range_;
  if ((type != leaf_64 && type != range_64 && type != arange_64) || !shape) {
    walk.report(node, fmt::format("maple node of type {}, 1 to 3 expected",
                                  static_cast<std::uint64_t>(type)));
    return true;
  }
  if (place.depth > kDepthLimit || walk.seen.size() == kNodeLimit ||
      !walk.seen.insert(node.value).second) {
    walk.report(node, "maple node reached twice, too deep, or too many nodes");
    return true;
  }
  std::array<std::uint64_t, kNodeWords> words = {};
  const auto bytes = std::as_writable_bytes(std::span(words));
  if (const auto read = walk.reader.space().read_exact(node, bytes); !read) {
    walk.report(node, paging::to_string(read.error()));
    return true;
  }
  if (walk.reader.is_live() && !walk.path.still_lead_there(walk.reader)) walk.is_good = false;
  // The first word leads back: so no node is in two trees, or twice in one. A node that was taken
  // out leads to itself (mte_set_node_dead()).
  const bool is_root = (place.parent & kRootParent) != 0;
  if ((is_root ? words[0] : words[0] & ~kNodeMask) != place.parent) {
    walk.report(node, fmt::format("maple node whose parent is 0x{:x}, 0x{:x} expected", words[0],
                                  place.parent));
    return true;
  }
  return visit_slots(walk, place, words, *shape, type == leaf_64);
}

// A pivot is the last index of the slot of the same number. The last slot in use ends where the
// node does; its pivot holds that, or 0, or is not there (mas_logical_pivot(), lib/maple_tree.c).
bool MapleTreeWalker::visit_slots(Walk& walk, const Place& place,
                                  std::span<const std::uint64_t> words, const Shape& shape,
                                  bool is_leaf) const {
  std::uint64_t first = place.min;
  for (std::size_t i = 0; i < shape.slots; ++i) {
    const std::uint64_t pivot = i < shape.pivots ? words[shape.first_pivot + i] : place.max;
    const bool is_last = pivot == place.max || (pivot == 0 && i > 0);
    const std::uint64_t last = is_last ? place.max : pivot;
    if (last < first || last > place.max) {
      walk.report(place.node(), fmt::format("maple node with pivot 0x{:x}, 0x{:x} to 0x{:x} "
                                            "expected",
                                            pivot, first, place.max));
      return true;
    }
    const std::uint64_t slot = words[shape.first_slot + i];
    if (is_leaf) {
      if (is_pointer(slot) && !walk.visit({first, last, VirtAddr(slot)})) return false;
    } else if (slot != 0) {
      walk.path.push(place.node() + (shape.first_slot + i) * sizeof(slot), slot);
      const bool go_on =
          visit_node(walk, {slot, place.encoded & ~kNodeMask, first, last, place.depth + 1});
      walk.path.pop();
      if (!go_on) return false;
    }
    if (is_last) break;
    first = last + 1;
  }
  return true;
}

}  // namespace engram::kernel
