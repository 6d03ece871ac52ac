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

/// The objects on a circular list (struct list_head; LIST_ENTRY of Windows) of pointers as wide as
/// the reader's, the head left out, in list order.
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

/// What an XArray holds for `count` indexes from `index` on.
struct XArrayEntry {
  std::uint64_t index = 0;
  std::uint64_t count = 1;
  std::uint64_t word = 0;  ///< a pointer, or the bits of a value entry

  /// Not a pointer but a number (xa_is_value()): what was swapped out or evicted, say.
  [[nodiscard]] bool is_value() const { return (word & 1U) != 0; }
  bool operator==(const XArrayEntry&) const = default;
};

/// For until_whole(): one entry for each index.
inline VirtAddr key_of(const XArrayEntry& entry) {
  return VirtAddr(entry.index);
}

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

  /// As walk(), with value entries, and with how many indexes an entry is stored for: those of the
  /// slot that it is in and of the siblings behind that. False if a damaged node was skipped.
  bool walk_entries(VirtAddr xarray, std::string_view what,
                    const std::function<bool(const XArrayEntry&)>& visit) const;
  /// As try_walk(), with the same.
  bool try_walk_entries(VirtAddr xarray,
                        const std::function<bool(const XArrayEntry&)>& visit) const;

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
