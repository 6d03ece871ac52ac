// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tasks as rows of tables that say more about them.

#include <vector>

#include "kernel/linux/linux_kernel.h"
#include "tables/table.h"

namespace engram::tables {

/// Every task of both sources, each once. `key` is a column that is the address of the task: if the
/// query fixes it, only that one. Errors: as Tasks::check().
Result<std::vector<kernel::Task>> tasks_once(kernel::Session& session,
                                             std::span<const KeyValue> values, std::size_t key);

}  // namespace engram::tables
