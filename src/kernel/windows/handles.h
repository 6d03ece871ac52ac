// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Handles of processes: HANDLE_TABLE and its entries.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

struct Handle {
  VirtAddr process;  ///< EPROCESS
  VirtAddr entry;    ///< HANDLE_TABLE_ENTRY
  VirtAddr object;   ///< behind its OBJECT_HEADER
  std::uint32_t number = 0;
  std::uint32_t granted_access = 0;
  // As OBJ_PROTECT_CLOSE, OBJ_INHERIT and OBJ_AUDIT_OBJECT_CLOSE say.
  bool is_protected = false, is_inherited = false, is_audited = false;
};

/// One table of handles, entry by entry. It has the pages on the way to the entry in memory, and
/// the addresses of those that it has seen, 65 thousand at most. What is damaged is passed over and
/// counted: one diagnostics row for the pages, one for the entries, when the walk ends.
class HandleWalk {
 public:
  /// `level` tables of pointers lie above the entries.
  HandleWalk(const Reader& reader, const ObjectLayout& layout, VirtAddr process, VirtAddr table,
             unsigned level);
  ~HandleWalk();
  HandleWalk(const HandleWalk&) = delete;
  HandleWalk& operator=(const HandleWalk&) = delete;

  /// By number; nothing at the end.
  [[nodiscard]] std::optional<Handle> next();

 private:
  struct Page {
    VirtAddr address;
    std::vector<std::byte> bytes;
    std::uint64_t first = 0;  ///< number of the first entry under it
    std::uint64_t at = 0;     ///< of its words, or entries, the next one
  };
  struct Damage {
    std::uint64_t count = 0;
    VirtAddr where;  ///< the first one
    std::string text;
    void add(VirtAddr at, std::string what);
  };

  void enter(VirtAddr table, std::uint64_t first);
  void descend(Page& page);
  [[nodiscard]] std::optional<Handle> next_entry(Page& page);
  [[nodiscard]] Handle read_entry(Bytes entry) const;
  [[nodiscard]] std::uint64_t entry_size() const { return 2 * width_; }
  void report(const Damage& damage, std::string_view what) const;

  Reader reader_;
  ObjectLayout at_;
  VirtAddr process_;
  std::uint64_t width_;  ///< bytes of a pointer
  unsigned top_;         ///< level of the first page
  std::vector<Page> path_;
  std::unordered_set<std::uint64_t> seen_;
  Damage pages_, entries_;
};

class Handles {
 public:
  explicit Handles(WindowsKernel& kernel);

  /// Whether the layout of the tables is known.
  [[nodiscard]] bool is_known() const;
  /// Null if the process has no table, or one that cannot be read (one diagnostics row).
  [[nodiscard]] std::shared_ptr<HandleWalk> walk(VirtAddr process) const;

 private:
  WindowsKernel& kernel_;
  const Reader& reader_;
  ObjectLayout at_;
};

}  // namespace engram::kernel::windows
