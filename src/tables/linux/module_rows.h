// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Modules as rows of tables that say more about them.

#include <vector>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/module.h"
#include "tables/table.h"

namespace engram::tables {

/// Every module once. `key` is a column that is the address of the module: if the query fixes it,
/// only that one.
Result<std::vector<kernel::Module>> modules_once(kernel::Session& session,
                                                 std::span<const KeyValue> values, std::size_t key);

inline const kernel::Modules& modules_of(kernel::Session& session) {
  return (*session.linux_kernel())->modules();
}

/// Name of a module; NULL for none.
Value module_name(kernel::Session& session, std::optional<VirtAddr> module);

/// Name of the module in whose memory an address lies; NULL if it is none.
Value module_name_at(kernel::Session& session, std::optional<VirtAddr> address);

/// What the kernel prints for an address: name+0x10 [module]; NULL if no symbol covers it.
Value symbol_at(kernel::Session& session, std::optional<VirtAddr> address);

}  // namespace engram::tables
