// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Processes of Windows as rows of tables that say more about them.

#include <span>
#include <vector>

#include "kernel/windows/processes.h"
#include "kernel/windows/windows_kernel.h"
#include "tables/table.h"

namespace engram::tables {

/// Every process that the kernel lists. `key` is a column that is the address of the process: if
/// the query fixes it, only that one.
Result<std::vector<VirtAddr>> windows_processes(kernel::Session& session,
                                                std::span<const KeyValue> values, std::size_t key);

/// Rows of one process after the other.
template <class Row, class Of>
Rows<Row> rows_of_processes(std::vector<VirtAddr> processes, Of of) {
  return [of = std::move(of), processes = std::move(processes), process = std::size_t{0},
          rows = std::vector<Row>(), at = std::size_t{0}]() mutable -> Result<std::optional<Row>> {
    while (at == rows.size()) {
      if (process == processes.size()) return std::optional<Row>();
      rows = of(processes[process++]);
      at = 0;
    }
    return std::optional<Row>(rows[at++]);
  };
}

/// Tables are opened only when there is a kernel, so that its absence is no case here.
inline kernel::WindowsKernel& windows_kernel_of(kernel::Session& session) {
  return **session.windows_kernel();
}

/// Unix time in seconds; NULL for NULL.
inline Value unix_time(std::optional<std::uint64_t> time) {
  return time ? cell(kernel::windows::unix_seconds(*time)) : Value{Null{}};
}

}  // namespace engram::tables
