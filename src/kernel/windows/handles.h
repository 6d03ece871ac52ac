// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Handles of processes: HANDLE_TABLE and its entries.

#include <cstdint>
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

class Handles {
 public:
  explicit Handles(WindowsKernel& kernel);

  /// Whether the layout of the tables is known.
  [[nodiscard]] bool is_known() const;
  /// By number. What cannot be read of the table is left out, with one diagnostics row a page.
  [[nodiscard]] std::vector<Handle> of(VirtAddr process) const;

 private:
  struct Walk;
  void walk(Walk& walk, VirtAddr table, unsigned level, std::uint64_t first) const;
  [[nodiscard]] bool read_page(Walk& walk, VirtAddr table, std::vector<std::byte>& page) const;
  [[nodiscard]] Handle read_entry(Bytes entry) const;

  WindowsKernel& kernel_;
  const Reader& reader_;
  ObjectLayout at_;
};

}  // namespace engram::kernel::windows
