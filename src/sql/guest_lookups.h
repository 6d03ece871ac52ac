// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the SQL functions ask of the machine in the image, so that they need not know a kernel.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace engram::sql {

/// Whoever has a kernel fills these in. One that is left empty makes the SQL functions that need it
/// fail with "no kernel".
struct GuestLookups {
  /// Called before any of the others. Its error (no kernel was found) fails the query.
  std::function<Result<void>()> ready;

  /// "name", "name+0x10" or "name+0x10 [module]", as the kernel prints; nothing if no symbol covers
  /// it.
  std::function<std::optional<std::string>(VirtAddr)> symbol;

  std::function<std::optional<VirtAddr>(std::string_view)> address_of;

  /// Exactly that many bytes, through the page tables at `root` (the kernel's if there is none
  /// given). An error (any byte cannot be read) is NULL in SQL and a diagnostics row.
  std::function<Result<std::vector<std::byte>>(VirtAddr, std::size_t, std::optional<PhysAddr> root)>
      read;

  /// What the page cache has of the file with this inode, zeros in place of what it lacks if that
  /// is allowed. An error (a part is missing, say) is NULL in SQL and a diagnostics row.
  std::function<Result<std::vector<std::byte>>(VirtAddr inode, bool zeros, std::uint64_t limit)>
      file_contents;

  /// An error (not mapped) is NULL in SQL and a diagnostics row.
  std::function<Result<PhysAddr>(VirtAddr, std::optional<PhysAddr> root)> translate;
};

}  // namespace engram::sql
