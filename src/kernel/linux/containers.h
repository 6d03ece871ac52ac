// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's generic containers: circular lists, chains and XArrays.

#include <functional>
#include <string_view>
#include <vector>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

/// The objects on a circular list (struct list_head), the head left out, in list order.
/// `node_offset` is where the list_head lies in an object, in bytes. The walk ends at the head, at
/// a link that cannot be read, at an object seen before or after `limit` objects; the last three
/// are one diagnostics row. A list of a running guest is walked until nothing changed on the way
/// (live_walk.h).
[[nodiscard]] std::vector<VirtAddr> walk_list(const Reader& reader, VirtAddr head,
                                              std::uint64_t node_offset, std::string_view what,
                                              std::size_t limit = 1U << 22U);

/// The objects of a singly linked list that ends in NULL, in list order: `first` is the member of
/// `owner` that leads to it, `next` the one that links its objects. Damage, and running guests, are
/// as for walk_list().
[[nodiscard]] std::vector<VirtAddr> walk_chain(const Reader& reader, VirtAddr owner,
                                               const Field<VirtAddr>& first,
                                               const Field<VirtAddr>& next,
                                               std::size_t limit = 1U << 22U);

/// Walks XArrays (include/linux/xarray.h), which IDRs are made of since 4.20.
class XArrayWalker {
 public:
  XArrayWalker(const types::TypeDb& types, Reader reader);

  /// Calls `visit` with index and pointer for every entry that is a pointer, in index order, until
  /// it returns false. `xarray` is the address of the struct xarray. Damaged nodes are skipped with
  /// one diagnostics row each.
  void walk(VirtAddr xarray, std::string_view what,
            const std::function<bool(std::uint64_t, VirtAddr)>& visit) const;

  /// One try at an XArray that may change meanwhile. False if something may have been passed over:
  /// a node on the way was replaced, or is damaged. Reports nothing.
  bool try_walk(VirtAddr xarray, const std::function<bool(std::uint64_t, VirtAddr)>& visit) const;

 private:
  struct Walk;
  void walk_from(VirtAddr xarray, Walk& walk) const;
  bool visit_node(Walk& walk, VirtAddr node, std::uint64_t first_index, int parent_shift) const;

  Reader reader_;
  Field<VirtAddr> head_;
  Field<std::uint8_t> shift_;
  std::optional<std::uint64_t> slots_;
  std::uint64_t slot_count_ = 0;
};

}  // namespace engram::kernel
