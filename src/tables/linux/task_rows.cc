// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/task_rows.h"

namespace engram::tables {

Result<std::vector<kernel::Task>> tasks_once(kernel::Session& session,
                                             std::span<const KeyValue> values, std::size_t key) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& tasks = kernel->tasks();
  for (const auto& value : values) {
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (value.column != key) continue;
    if (number == nullptr) return std::vector<kernel::Task>();
    const auto task = tasks.at(VirtAddr(static_cast<std::uint64_t>(*number)));
    return task ? std::vector{*task} : std::vector<kernel::Task>();
  }
  ENGRAM_CHECK(tasks.check());
  return tasks.of_both_sources();
}

}  // namespace engram::tables
