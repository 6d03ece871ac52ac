// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/threads.h"

#include <array>

#include "kernel/linux/containers.h"

namespace engram::kernel::windows {
namespace {

constexpr std::size_t kMostThreads = 1U << 18U;

}  // namespace

std::optional<std::string_view> thread_state_name(std::uint8_t state) {
  static constexpr std::array<std::string_view, 10> kNames{
      "initialized", "ready",      "running",        "standby",   "terminated",
      "waiting",     "transition", "deferred_ready", "gate_wait", "waiting_for_process_in_swap"};
  return state < kNames.size() ? std::optional(kNames[state]) : std::nullopt;
}

Threads::Threads(WindowsKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  if (const auto at = kernel.structures()) at_ = **at;
}

std::vector<Thread> Threads::of(VirtAddr process) const {
  std::vector<Thread> threads;
  if (const auto& small = kernel_.small_dump()) {
    if (small->thread) threads.push_back({*small->thread, process});
    return threads;
  }
  if (!at_.thread_links) return threads;
  for (const VirtAddr thread : walk_list(reader_, process + at_.thread_list, *at_.thread_links,
                                         "EPROCESS.ThreadListHead", kMostThreads)) {
    threads.push_back({thread, process});
  }
  return threads;
}

}  // namespace engram::kernel::windows
