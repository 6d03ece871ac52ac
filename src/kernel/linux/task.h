// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tasks: processes, their threads and kernel threads, from two independent sources.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/lazy.h"
#include "base/units.h"
#include "kernel/linux/containers.h"
#include "kernel/linux/live_walk.h"
#include "kernel/linux/reader.h"
#include "types/symbols.h"
#include "types/type_db.h"

namespace engram::kernel {

enum class TaskSource : std::uint8_t {
  task_list,  ///< the kernel's list of processes with each one's list of threads
  pid_ns,     ///< the IDR of the initial PID namespace
  both,
  direct,  ///< named by its address
};

/// Which task_struct, and how it was found. Everything else is read on demand by Tasks.
struct Task {
  VirtAddr address;
  TaskSource source = TaskSource::direct;
  std::optional<VirtAddr> root_task;  ///< for task_list: where the walk began

  /// Who was at the address when a running guest's task was found. It may exit, and its memory be
  /// used for another one, before its columns are read.
  struct Identity {
    std::uint64_t start_boottime = 0;
    std::int32_t pid = 0;
    bool operator==(const Identity&) const = default;
  };
  std::optional<Identity> identity = std::nullopt;

  bool operator==(const Task&) const = default;
};

inline VirtAddr key_of(const Task& task) {
  return task.address;
}

enum class Credential : std::uint8_t { uid, gid, euid, egid, suid, sgid };

struct Terminal {
  std::string name;          ///< as ps prints it: pts/0, tty1, ttyS0
  std::uint32_t number = 0;  ///< as field tty_nr of /proc/PID/stat: new_encode_dev() of its device
};

class Tasks {
 public:
  Tasks(Reader reader, const types::TypeDb& types, const types::SymbolTable& symbols);

  /// All tasks of a source, walked once. The idle tasks are in neither: they have no process id.
  /// Errors: the kernel lacks what the walk begins with (names it).
  Result<const std::vector<Task>*> list() const;
  Result<const std::vector<Task>*> pid_namespace() const;
  /// That there is something to list. Errors: those of both sources, for half of them would be half
  /// of the answer; neither has a single task, which no kernel is without.
  Result<void> check() const;
  /// Each task of both sources once, those of the list first: so that one hidden from either has
  /// its files, memory and namespaces listed all the same. A source that fails has none.
  [[nodiscard]] std::vector<Task> of_both_sources() const;
  /// The same as found: of a running guest also those that are not there any more.
  [[nodiscard]] const std::vector<Task>& merged() const;
  /// The same for one address; nothing if neither source has it.
  [[nodiscard]] std::optional<Task> listed(VirtAddr address) const;
  /// The list that `root` is on, beginning with it; empty if it is no task.
  [[nodiscard]] std::vector<Task> list_from(VirtAddr root) const;
  /// The task at an address, with source `direct`; nothing if no live task is there.
  [[nodiscard]] std::optional<Task> at(VirtAddr address) const;
  /// False if the task has exited since it was found and its memory belongs to another one. One
  /// that has only exited is still there: what it was can be read.
  [[nodiscard]] bool is_still_there(const Task& task) const;

  // Numbers are those of the initial namespaces. Nothing: the member cannot be read.
  [[nodiscard]] std::optional<std::int32_t> pid(VirtAddr task) const {
    return reader_.get(task, pid_);
  }
  [[nodiscard]] std::optional<std::int32_t> tgid(VirtAddr task) const {
    return reader_.get(task, tgid_);
  }
  [[nodiscard]] std::optional<std::int32_t> parent_pid(
      VirtAddr task) const;  ///< of the tracer while traced
  [[nodiscard]] std::optional<std::int32_t> real_parent_pid(VirtAddr task) const;
  [[nodiscard]] std::optional<std::int32_t> process_group(VirtAddr task) const;
  [[nodiscard]] std::optional<std::int32_t> session(VirtAddr task) const;
  /// The struct upids of the task: one in each PID namespace that sees it, outermost first.
  /// Nothing: they cannot be read.
  [[nodiscard]] std::vector<VirtAddr> numbers(VirtAddr task) const;
  /// The task's number in each of them.
  [[nodiscard]] std::optional<std::vector<std::int32_t>> namespace_pids(VirtAddr task) const;

  [[nodiscard]] std::optional<std::string> comm(VirtAddr task) const {
    return reader_.text(task, comm_);
  }
  [[nodiscard]] std::optional<std::uint32_t> flags(VirtAddr task) const {
    return reader_.get(task, flags_);
  }
  [[nodiscard]] std::optional<bool> is_kernel_thread(VirtAddr task) const;
  /// R, S, D, T, t, X, Z, P or I, as /proc/PID/stat prints it.
  [[nodiscard]] std::optional<char> state(VirtAddr task) const;
  /// As wait4(2) gives it: of the first thread of a process that ended as a whole, the process's.
  [[nodiscard]] std::optional<std::int32_t> exit_code(VirtAddr task) const;
  [[nodiscard]] std::optional<std::int32_t> thread_count(VirtAddr task) const;
  /// Nanoseconds of CLOCK_MONOTONIC and CLOCK_BOOTTIME.
  [[nodiscard]] std::optional<std::uint64_t> start_time(VirtAddr task) const {
    return reader_.get(task, start_time_);
  }
  [[nodiscard]] std::optional<std::uint64_t> start_boottime(VirtAddr task) const {
    return reader_.get(task, start_boottime_);
  }
  /// Of the objective credentials (real_cred), which /proc shows.
  [[nodiscard]] std::optional<std::uint32_t> credential(VirtAddr task, Credential which) const;
  [[nodiscard]] std::optional<Terminal> terminal(VirtAddr task) const;

  /// The task_struct of whoever is told when the process ends: its tracer while it is traced.
  [[nodiscard]] std::optional<VirtAddr> parent(VirtAddr task) const {
    return reader_.follow(task, parent_);
  }
  /// That of whoever started the process, or has it since that one ended.
  [[nodiscard]] std::optional<VirtAddr> real_parent(VirtAddr task) const {
    return reader_.follow(task, real_parent_);
  }
  /// The task_struct of the first thread of the process.
  [[nodiscard]] std::optional<VirtAddr> leader(VirtAddr task) const {
    return reader_.follow(task, group_leader_);
  }
  /// The files_struct, which threads of a process share as a rule; nothing for zombies.
  [[nodiscard]] std::optional<VirtAddr> file_table(VirtAddr task) const {
    return reader_.follow(task, files_);
  }
  /// The memory descriptor; nothing for zombies, and for kernel threads, also for one that borrows
  /// a process's memory.
  [[nodiscard]] std::optional<VirtAddr> mm(VirtAddr task) const;
  /// Physical address of the root page table of a memory descriptor.
  [[nodiscard]] std::optional<PhysAddr> page_table(VirtAddr mm) const;
  /// The open struct file of the executable of a memory descriptor.
  [[nodiscard]] std::optional<VirtAddr> executable(VirtAddr mm) const {
    return reader_.follow(mm, exe_file_);
  }
  /// Addresses of the struct path of the working directory and of the root directory.
  [[nodiscard]] std::optional<VirtAddr> working_directory(VirtAddr task) const {
    return in_fs(task, fs_pwd_);
  }
  [[nodiscard]] std::optional<VirtAddr> root_directory(VirtAddr task) const {
    return in_fs(task, fs_root_);
  }

 private:
  static constexpr std::size_t kTaskLimit =
      std::size_t{4} * 1024 *
      1024;  ///< each has a number below PID_MAX_LIMIT (include/linux/threads.h)

  void add_process(VirtAddr leader, std::optional<VirtAddr> root, std::vector<Task>& tasks) const;
  [[nodiscard]] std::optional<std::int32_t> number_of_pid(std::optional<VirtAddr> pid) const;
  [[nodiscard]] std::optional<VirtAddr> in_fs(VirtAddr task,
                                              std::optional<std::uint64_t> offset) const;
  [[nodiscard]] bool proves_itself(VirtAddr task) const;
  [[nodiscard]] std::vector<Task> walk_from(VirtAddr first) const;
  // Of a running guest:
  [[nodiscard]] std::optional<Task::Identity> identity_of(VirtAddr task) const;
  [[nodiscard]] Try<Task> try_from(VirtAddr first) const;
  void try_process(VirtAddr leader, VirtAddr root, Try<Task>& all) const;
  [[nodiscard]] Try<Task> try_threads(VirtAddr leader, VirtAddr root) const;
  [[nodiscard]] Try<Task> try_pid_namespace() const;
  [[nodiscard]] Result<std::vector<Task>> walk_list_from_init() const;
  [[nodiscard]] Result<std::vector<Task>> walk_pid_namespace() const;

  Reader reader_;
  Reader quiet_;
  XArrayWalker xarrays_;
  std::optional<VirtAddr> init_task_, init_pid_ns_;

  Field<std::int32_t> pid_, tgid_, exit_state_, exit_code_, group_exit_code_, nr_threads_;
  Field<std::uint32_t> flags_, group_flags_;
  Field<std::uint64_t> state_, start_time_, start_boottime_;
  Field<VirtAddr> parent_, real_parent_, group_leader_, mm_, signal_, thread_pid_, real_cred_, fs_,
      files_;
  TextField comm_;
  std::optional<std::uint64_t> tasks_, thread_node_, pid_links_;

  Field<VirtAddr> signal_pgrp_, signal_session_, signal_tty_;
  std::optional<std::uint64_t> thread_head_;

  Field<std::uint32_t> pid_level_, upid_number_;
  Field<VirtAddr> pid_first_task_;
  std::optional<std::uint64_t> pid_numbers_, upid_size_, namespace_idr_;

  std::array<Field<std::uint32_t>, 6> credentials_;  ///< in the order of Credential
  Field<VirtAddr> tty_driver_, mm_pgd_, exe_file_;
  Field<std::int32_t> tty_index_, driver_major_, driver_minor_start_;
  Field<std::int16_t> driver_type_;
  TextField tty_name_;
  std::optional<std::uint64_t> fs_pwd_, fs_root_;

  mutable Once list_once_, pid_namespace_once_, merged_once_;
  mutable Result<std::vector<Task>> list_;
  mutable Result<std::vector<Task>> pid_namespace_;
  mutable std::vector<Task> merged_;
  mutable std::unordered_map<VirtAddr, std::size_t> index_;  ///< address -> place in merged_
};

}  // namespace engram::kernel
