// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/task_rows.h"

#include <unordered_set>

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
  ENGRAM_TRY(const auto* list, tasks.list());
  std::vector<kernel::Task> all;
  std::unordered_set<VirtAddr> seen;
  const auto add = [&](const std::vector<kernel::Task>& some) {
    for (const auto& task : some) {
      if (tasks.is_still_there(task) && seen.insert(task.address).second) all.push_back(task);
    }
  };
  add(*list);
  if (const auto second = tasks.pid_namespace()) add(**second);
  return all;
}

}  // namespace engram::tables
