// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's hash tables: arrays of list heads, and resizable ones (rhashtable).

#include <functional>
#include <string_view>
#include <unordered_set>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

/// Walks chains that end in NULL or in an odd word: hlist (include/linux/list.h), hlist_nulls
/// (include/linux/list_nulls.h) and those of rhashtable. In all of them a node's first word is the
/// pointer to the next node.
///
/// One walker is for all tables of a kind: a node is visited once, however often it is reached, and
/// at most kNodeLimit are. What is damaged ends its chain and is a diagnostics row.
class HashChains {
 public:
  using Visit = std::function<void(VirtAddr)>;

  /// `what` names the table in diagnostics rows.
  HashChains(Reader reader, std::string_view what) : reader_(reader), what_(what) {}

  /// The chains of an array of `count` heads that lie `stride` bytes apart. The array is read in
  /// blocks: most heads are empty, and a read for each would take long. More heads than
  /// kHeadLimit, or than kAllHeadsLimit in all tables, are a damaged count: nothing is visited.
  void table(VirtAddr first_head, std::uint64_t count, std::uint64_t stride, const Visit& visit);

  /// The chain behind one head's value.
  void chain(VirtAddr node, const Visit& visit);

  /// For a visitor that has enough: nothing more is visited, in this table and in others.
  void stop() { is_stopped_ = true; }

  static constexpr std::uint64_t kHeadLimit = 1U << 24U;  ///< tcp_child_ehash_entries's maximum
  static constexpr std::uint64_t kAllHeadsLimit = 1U << 26U;
  static constexpr std::size_t kNodeLimit = 1U << 22U;

 private:
  Reader reader_;
  std::string_view what_;
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t heads_ = 0;
  bool is_stopped_ = false;
  bool reported_ = false;  ///< that a node was reached twice: one damaged pointer may do it often
};

/// Walks resizable hash tables (include/linux/rhashtable.h), also while one is being resized.
class RhashtableWalker {
 public:
  RhashtableWalker(const types::TypeDb& types, Reader reader);

  /// Calls `visit` with the address of each rhash_head. Damage is as for HashChains.
  void walk(VirtAddr rhashtable, std::string_view what, const HashChains::Visit& visit) const;

 private:
  void nested(HashChains& chains, VirtAddr level, std::uint64_t entries, std::uint64_t buckets,
              const HashChains::Visit& visit) const;

  Reader reader_;
  Field<VirtAddr> table_, future_table_;
  Field<std::uint32_t> size_, nest_;
  std::optional<std::uint64_t> buckets_;
};

}  // namespace engram::kernel
