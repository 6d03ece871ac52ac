// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Tasks of a guest that runs: processes start and exit while their lists are walked. See
// live_walk.h for how a walk knows that it is whole.

#include "kernel/linux/task.h"

namespace engram::kernel {

std::optional<Task::Identity> Tasks::identity_of(VirtAddr task) const {
  const auto start = quiet_.get(task, start_boottime_);
  const auto pid = quiet_.get(task, pid_);
  if (!start || !pid) return std::nullopt;
  return Task::Identity{*start, *pid};
}

bool Tasks::is_still_there(const Task& task) const {
  return !task.identity || identity_of(task.address) == task.identity;
}

Try<Task> Tasks::try_from(VirtAddr first) const {
  const auto leaders = try_list(quiet_, first + *tasks_, *tasks_, kTaskLimit);
  Try<Task> all;
  all.is_whole = leaders.is_whole;
  // The idle task is where the kernel's list begins, and no process.
  if (first != init_task_) try_process(first, first, all);
  for (const auto leader : leaders.found) {
    if (leader != init_task_) try_process(leader, first, all);
    if (all.found.size() >= kTaskLimit) break;
  }
  return all;
}

void Tasks::try_process(VirtAddr leader, VirtAddr root, Try<Task>& all) const {
  constexpr unsigned kTries = 8;
  Try<Task> process;
  for (unsigned i = 0; i < kTries; ++i) {
    process = try_threads(leader, root);
    if (process.is_whole) break;
    if (!is_on_list(quiet_, leader + *tasks_)) return;  // it has exited since the list was walked
  }
  all.is_whole = all.is_whole && process.is_whole;
  all.found.insert(all.found.end(), process.found.begin(), process.found.end());
}

// A task is on its lists before its struct pid leads to it (copy_process()), and after that it does
// no more (__unhash_process()): it counts if it does, is left out if it has left the list, and is
// in between for a moment only.
Try<Task> Tasks::try_threads(VirtAddr leader, VirtAddr root) const {
  const auto signal = quiet_.follow(leader, signal_);
  Try<VirtAddr> threads;
  threads.is_whole = signal.has_value();
  if (signal && thread_head_ && thread_node_) {
    threads = try_list(quiet_, *signal + *thread_head_, *thread_node_, kTaskLimit);
  }
  Try<Task> process;
  process.is_whole = threads.is_whole;
  const auto leader_identity = identity_of(leader);
  process.found.push_back({leader, TaskSource::task_list, root, leader_identity});
  for (const auto thread : threads.found) {
    if (thread == leader) continue;
    const auto identity = identity_of(thread);
    if (!proves_itself(thread)) {
      if (!is_on_list(quiet_, thread + *thread_node_)) continue;
      process.is_whole = false;
    }
    process.found.push_back({thread, TaskSource::task_list, root, identity});
  }
  // The leader is the last: what was read by way of it was its own.
  if (!proves_itself(leader)) process.is_whole = false;
  return process;
}

Try<Task> Tasks::try_pid_namespace() const {
  Try<Task> all;
  const auto add = [&](std::uint64_t index, VirtAddr pid) {
    const auto node = quiet_.follow(pid, pid_first_task_);
    if (!node) return true;
    const VirtAddr task = *node - *pid_links_;
    const auto identity = identity_of(task);
    // The index is the number in this namespace. Another number: the struct pid was freed and is
    // used anew; its own entry leads to it.
    if (pid_numbers_ && quiet_.get(pid + *pid_numbers_, upid_number_) != index) return true;
    if (!proves_itself(task) || quiet_.follow(task, thread_pid_) != pid) {
      if (!quiet_.follow(pid, pid_first_task_)) return true;  // it has exited meanwhile
      all.is_whole = false;
    }
    all.found.push_back({task, TaskSource::pid_ns, std::nullopt, identity});
    return all.found.size() < kTaskLimit;
  };
  const bool good = xarrays_.try_walk(*init_pid_ns_ + *namespace_idr_, add);
  all.is_whole = all.is_whole && good;
  return all;
}

}  // namespace engram::kernel
