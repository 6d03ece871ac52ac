// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/containers.h"

#include <fmt/core.h>

#include <unordered_set>
#include <utility>

#include "kernel/linux/live_walk.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kSlotCountLimit = 64;  // XA_CHUNK_SIZE, or 16 with CONFIG_BASE_SMALL
constexpr std::size_t kNodeLimit = 1U << 20U;

// xa_is_internal(), xa_is_node(): low two bits 10, and above the sibling and zero entries.
bool is_node(std::uint64_t entry) {
  return (entry & 3U) == 2 && entry > 4096;
}
bool is_pointer(std::uint64_t entry) {
  return (entry & 3U) == 0 && entry != 0;
}
bool is_entry(std::uint64_t entry) {
  return is_pointer(entry) || (entry & 1U) != 0;
}
// xa_mk_sibling(): the slot repeats that of another one in the same node.
bool is_sibling_of(std::uint64_t entry, std::uint64_t slot) {
  return entry == (slot << 2U | 2U);
}

/// The visitor that a walk over pointers alone has, for one over all entries.
auto pointers_only(const std::function<bool(std::uint64_t, VirtAddr)>& visit) {
  return [&visit](const XArrayEntry& entry) {
    return entry.is_value() || visit(entry.index, VirtAddr(entry.word));
  };
}

std::vector<VirtAddr> walk_list_at_rest(const Reader& reader, VirtAddr head,
                                        std::uint64_t node_offset, std::string_view what,
                                        std::size_t limit) {
  std::vector<VirtAddr> objects;
  std::unordered_set<std::uint64_t> seen;
  auto node = reader.pointer_at(head, what);  // list_head.next comes first in the structure
  while (node && *node != head) {
    if (objects.size() == limit) {
      reader.report(what, *node, fmt::format("the list does not end after {} objects", limit));
      break;
    }
    if (!*node) {
      reader.report(what, head,
                    fmt::format("the list ends in NULL after {} objects", objects.size()));
      break;
    }
    if (!seen.insert(node->value).second) {
      reader.report(what, *node,
                    fmt::format("the list comes back to this object after {}", objects.size()));
      break;
    }
    const auto next = reader.pointer_at(*node, what);
    if (!next) break;  // what cannot be read is no object
    objects.push_back(*node - node_offset);
    node = next;
  }
  return objects;
}

/// Whole if it ends in NULL.
Try<VirtAddr> walk_chain_at_rest(const Reader& reader, VirtAddr owner, const Field<VirtAddr>& first,
                                 const Field<VirtAddr>& next, std::size_t limit) {
  Try<VirtAddr> walk{{}, false};
  std::unordered_set<std::uint64_t> seen;
  for (auto object = reader.get(owner, first); object;) {
    if (!*object) {
      walk.is_whole = true;
      break;
    }
    if (walk.found.size() == limit) {
      reader.report(next.name, *object,
                    fmt::format("the list does not end after {} objects", limit));
      break;
    }
    if (!seen.insert(object->value).second) {
      reader.report(next.name, *object,
                    fmt::format("the list comes back to this object after {}", walk.found.size()));
      break;
    }
    const auto following = reader.get(*object, next);
    if (!following) break;  // what cannot be read is no object
    walk.found.push_back(*object);
    object = following;
  }
  return walk;
}

}  // namespace

std::vector<VirtAddr> walk_list(const Reader& reader, VirtAddr head, std::uint64_t node_offset,
                                std::string_view what, std::size_t limit) {
  if (!reader.is_live()) return walk_list_at_rest(reader, head, node_offset, what, limit);
  auto walked =
      until_whole<VirtAddr>([&] { return try_list(reader, head, node_offset, limit); }, limit);
  report_walk(reader, what, head, walked.settled, walked.tries);
  if (walked.settled != Settled::still) return std::move(walked.found);
  return walk_list_at_rest(reader, head, node_offset, what, limit);  // which says what is damaged
}

std::vector<VirtAddr> walk_chain(const Reader& reader, VirtAddr owner, const Field<VirtAddr>& first,
                                 const Field<VirtAddr>& next, std::size_t limit) {
  if (!reader.is_live()) return walk_chain_at_rest(reader, owner, first, next, limit).found;
  // What was taken out is not met again from the owner on: two walks that agree met none of it.
  const Reader quiet = reader.quiet();
  auto walked = until_whole<VirtAddr>(
      [&] {
        auto walk = walk_chain_at_rest(quiet, owner, first, next, limit);
        walk.is_whole =
            walk.is_whole && walk == walk_chain_at_rest(quiet, owner, first, next, limit);
        return walk;
      },
      limit);
  report_walk(reader, next.name, owner, walked.settled, walked.tries);
  if (walked.settled != Settled::still) return std::move(walked.found);
  return walk_chain_at_rest(reader, owner, first, next, limit).found;  // which says what is damaged
}

struct XArrayWalker::Walk {
  Reader reader;
  std::string_view what;
  const std::function<bool(const XArrayEntry&)>& visit;
  std::unordered_set<std::uint64_t> seen = {};
  bool is_good = true;
  FollowedWords path = {};

  void report(VirtAddr node, std::string_view reason) {
    is_good = false;
    reader.report(what, node, reason);
  }
};

XArrayWalker::XArrayWalker(const types::TypeDb& types, Reader reader) : reader_(reader) {
  const Layout array(types, reader_.diagnostics(), "xarray");
  const Layout node(types, reader_.diagnostics(), "xa_node");
  head_ = array.field<VirtAddr>("xa_head");
  shift_ = node.field<std::uint8_t>("shift");
  slots_ = node.offset_of("slots");
  const auto slots = types.find_member("xa_node", "slots");
  const auto count = slots ? types.element_count(types.resolve(slots->type)) : std::nullopt;
  if (count && *count <= kSlotCountLimit) slot_count_ = *count;
}

void XArrayWalker::walk(VirtAddr xarray, std::string_view what,
                        const std::function<bool(std::uint64_t, VirtAddr)>& visit) const {
  walk_entries(xarray, what, pointers_only(visit));
}

bool XArrayWalker::try_walk(VirtAddr xarray,
                            const std::function<bool(std::uint64_t, VirtAddr)>& visit) const {
  return try_walk_entries(xarray, pointers_only(visit));
}

bool XArrayWalker::walk_entries(VirtAddr xarray, std::string_view what,
                                const std::function<bool(const XArrayEntry&)>& visit) const {
  Walk walk{reader_, what, visit};
  walk_from(xarray, walk);
  return walk.is_good;
}

bool XArrayWalker::try_walk_entries(VirtAddr xarray,
                                    const std::function<bool(const XArrayEntry&)>& visit) const {
  Walk walk{reader_.quiet(), {}, visit};
  walk_from(xarray, walk);
  return walk.is_good;
}

void XArrayWalker::walk_from(VirtAddr xarray, Walk& walk) const {
  const auto head = walk.reader.get(xarray, head_);
  if (!head) walk.is_good = false;
  if (!head || !*head || !slots_ || slot_count_ == 0) return;
  if (is_entry(head->value)) {  // a single entry at index 0 needs no node
    walk.visit({0, 1, head->value});
    return;
  }
  if (!is_node(head->value)) return;
  walk.path.push(xarray + *head_.offset, head->value);
  visit_node(walk, VirtAddr(head->value - 2), 0, 64);
}

bool XArrayWalker::visit_node(Walk& walk, VirtAddr node, std::uint64_t first_index,
                              int parent_shift) const {
  const auto shift = walk.reader.get(node, shift_);
  if (!shift) {
    walk.is_good = false;
    return true;
  }
  // A child's shift is smaller than its parent's: that bounds the depth, whatever the image says.
  if (*shift >= parent_shift || *shift >= 64) {
    walk.report(node, fmt::format("XArray node with shift {} below one with shift {}", *shift,
                                  parent_shift));
    return true;
  }
  if (!walk.seen.insert(node.value).second || walk.seen.size() > kNodeLimit) {
    walk.report(node, "XArray node reached twice, or too many nodes");
    return true;
  }
  std::uint64_t slots[kSlotCountLimit] = {};
  const auto bytes =
      std::as_writable_bytes(std::span(slots, static_cast<std::size_t>(slot_count_)));
  if (const auto read = reader_.space().read_exact(node + *slots_, bytes); !read) {
    walk.report(node, paging::to_string(read.error()));
    return true;
  }
  if (reader_.is_live() && !walk.path.still_lead_there(walk.reader)) walk.is_good = false;
  for (std::uint64_t slot = 0; slot < slot_count_; ++slot) {
    const std::uint64_t index = first_index + (slot << *shift);
    if (*shift != 0 && is_node(slots[slot])) {
      walk.path.push(node + *slots_ + slot * 8, slots[slot]);
      const bool go_on = visit_node(walk, VirtAddr(slots[slot] - 2), index, *shift);
      walk.path.pop();
      if (!go_on) return false;
    } else if (is_entry(slots[slot])) {
      std::uint64_t siblings = 0;
      while (slot + siblings + 1 < slot_count_ && is_sibling_of(slots[slot + siblings + 1], slot)) {
        ++siblings;
      }
      if (!walk.visit({index, (siblings + 1) << *shift, slots[slot]})) return false;
      slot += siblings;
    }
  }
  return true;
}

}  // namespace engram::kernel
