// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/windows/process_rows.h"

#include <algorithm>

namespace engram::tables {

Result<std::vector<VirtAddr>> windows_processes(kernel::Session& session,
                                                std::span<const KeyValue> values, std::size_t key) {
  ENGRAM_TRY(auto* kernel, session.windows_kernel());
  ENGRAM_TRY(const auto* list, kernel->processes().list());
  for (const auto& value : values) {
    if (value.column != key) continue;
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (number == nullptr) return std::vector<VirtAddr>();
    const VirtAddr wanted(static_cast<std::uint64_t>(*number));
    const bool is_there = std::find(list->begin(), list->end(), wanted) != list->end();
    return is_there ? std::vector{wanted} : std::vector<VirtAddr>();
  }
  return *list;
}

}  // namespace engram::tables
