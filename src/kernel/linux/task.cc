// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/task.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

namespace engram::kernel {
namespace {

constexpr std::uint32_t kKernelThread = 0x00200000;  // PF_KTHREAD, include/linux/sched.h
constexpr std::uint32_t kGroupExit = 0x4;  // SIGNAL_GROUP_EXIT, include/linux/sched/signal.h
constexpr std::int32_t kPidLimit =
    4 * 1024 * 1024;  // PID_MAX_LIMIT on 64 bit, include/linux/threads.h
constexpr std::uint32_t kNamespaceLevelLimit =
    32;                                      // MAX_PID_NS_LEVEL, include/linux/pid_namespace.h
constexpr std::int16_t kPseudoTerminal = 4;  // TTY_DRIVER_TYPE_PTY, include/linux/tty_driver.h

/// The value of an enumerator, or what it has always been.
std::uint64_t enumerator(const types::TypeDb& types, std::string_view enumeration,
                         std::string_view name, std::uint64_t otherwise) {
  const auto type = types.find(enumeration, types::Kind::enumeration);
  if (!type) return otherwise;
  for (const auto& entry : types.enumerators(*type)) {
    if (entry.name == name && entry.value >= 0) return static_cast<std::uint64_t>(entry.value);
  }
  return otherwise;
}

}  // namespace

Tasks::Tasks(Reader reader, const types::TypeDb& types, const types::SymbolTable& symbols)
    : reader_(reader),
      quiet_(reader.quiet()),
      xarrays_(types, reader),
      init_task_(symbols.address_of("init_task")),
      init_pid_ns_(symbols.address_of("init_pid_ns")) {
  auto& diagnostics = reader_.diagnostics();
  const Layout task(types, diagnostics, "task_struct");
  pid_ = task.field<std::int32_t>("pid");
  tgid_ = task.field<std::int32_t>("tgid");
  exit_state_ = task.field<std::int32_t>("exit_state");
  exit_code_ = task.field<std::int32_t>("exit_code");
  flags_ = task.field<std::uint32_t>("flags");
  state_ = task.first_of<std::uint64_t>({"__state", "state"});  // 2f064a59a11f, 5.14
  start_time_ = task.field<std::uint64_t>("start_time");
  start_boottime_ =
      task.first_of<std::uint64_t>({"start_boottime", "real_start_time"});  // cf25e24db61c, 5.5
  parent_ = task.field<VirtAddr>("parent");
  real_parent_ = task.field<VirtAddr>("real_parent");
  group_leader_ = task.field<VirtAddr>("group_leader");
  mm_ = task.field<VirtAddr>("mm");
  signal_ = task.field<VirtAddr>("signal");
  thread_pid_ = task.field<VirtAddr>("thread_pid");
  real_cred_ = task.field<VirtAddr>("real_cred");
  fs_ = task.field<VirtAddr>("fs");
  files_ = task.field<VirtAddr>("files");
  comm_ = task.text("comm");
  tasks_ = task.offset_of("tasks");
  thread_node_ = task.offset_of("thread_node");
  const auto by_pid = enumerator(types, "pid_type", "PIDTYPE_PID", 0);
  pid_links_ = task.offset_of(fmt::format("pid_links[{}]", by_pid));

  const Layout signal(types, diagnostics, "signal_struct");
  nr_threads_ = signal.field<std::int32_t>("nr_threads");
  group_flags_ = signal.field<std::uint32_t>("flags");
  group_exit_code_ = signal.field<std::int32_t>("group_exit_code");
  thread_head_ = signal.offset_of("thread_head");
  signal_pgrp_ = signal.field<VirtAddr>(
      fmt::format("pids[{}]", enumerator(types, "pid_type", "PIDTYPE_PGID", 2)));
  signal_session_ = signal.field<VirtAddr>(
      fmt::format("pids[{}]", enumerator(types, "pid_type", "PIDTYPE_SID", 3)));
  signal_tty_ = signal.field<VirtAddr>("tty");

  const Layout pid(types, diagnostics, "pid");
  pid_level_ = pid.field<std::uint32_t>("level");
  pid_first_task_ = pid.field<VirtAddr>(fmt::format("tasks[{}].first", by_pid));
  pid_numbers_ = pid.offset_of("numbers");
  const Layout upid(types, diagnostics, "upid");
  upid_number_ = upid.field<std::uint32_t>("nr");
  upid_size_ = upid.size();
  namespace_idr_ = Layout(types, diagnostics, "pid_namespace").offset_of("idr.idr_rt");

  const Layout cred(types, diagnostics, "cred");
  credentials_ = {cred.field<std::uint32_t>("uid.val"),  cred.field<std::uint32_t>("gid.val"),
                  cred.field<std::uint32_t>("euid.val"), cred.field<std::uint32_t>("egid.val"),
                  cred.field<std::uint32_t>("suid.val"), cred.field<std::uint32_t>("sgid.val")};

  const Layout tty(types, diagnostics, "tty_struct");
  tty_driver_ = tty.field<VirtAddr>("driver");
  tty_index_ = tty.field<std::int32_t>("index");
  tty_name_ = tty.text("name");
  const Layout driver(types, diagnostics, "tty_driver");
  driver_major_ = driver.field<std::int32_t>("major");
  driver_minor_start_ = driver.field<std::int32_t>("minor_start");
  driver_type_ = driver.field<std::int16_t>("type");

  const Layout mm(types, diagnostics, "mm_struct");
  mm_pgd_ = mm.field<VirtAddr>("pgd");
  exe_file_ = mm.field<VirtAddr>("exe_file");
  const Layout fs(types, diagnostics, "fs_struct");
  fs_pwd_ = fs.offset_of("pwd");
  fs_root_ = fs.offset_of("root");
}

void Tasks::add_process(VirtAddr leader, std::optional<VirtAddr> root,
                        std::vector<Task>& tasks) const {
  const auto signal = reader_.follow(leader, signal_);
  std::vector<VirtAddr> threads;
  if (signal && thread_head_ && thread_node_) {
    threads =
        walk_list(reader_, *signal + *thread_head_, *thread_node_, "signal_struct.thread_head",
                  kTaskLimit - std::min(tasks.size(), kTaskLimit));
  }
  // The leader itself is the first on its list of threads; a list that is damaged must not hide it.
  tasks.push_back({leader, TaskSource::task_list, root});
  for (const auto thread : threads) {
    if (thread != leader) tasks.push_back({thread, TaskSource::task_list, root});
  }
}

Result<std::vector<Task>> Tasks::walk_list_from_init() const {
  if (!init_task_ || !tasks_)
    return fail("tasks: the kernel has no symbol init_task or no task_struct.tasks");
  return walk_from(*init_task_);
}

std::vector<Task> Tasks::walk_from(VirtAddr first) const {
  const VirtAddr head = first + *tasks_;
  if (reader_.is_live()) {
    auto walked = until_whole<Task>([&] { return try_from(first); });
    report_walk(reader_, "task_struct.tasks", head, walked.settled, walked.tries);
    if (walked.settled != Settled::still) return std::move(walked.found);
  }
  std::vector<Task> tasks;
  // The idle task is where the kernel's list begins, and no process.
  if (first != init_task_) add_process(first, first, tasks);
  for (const auto leader : walk_list(reader_, head, *tasks_, "task_struct.tasks", kTaskLimit)) {
    if (leader != init_task_) add_process(leader, first, tasks);
    if (tasks.size() >= kTaskLimit) break;
  }
  return tasks;
}

Result<std::vector<Task>> Tasks::walk_pid_namespace() const {
  if (!init_pid_ns_ || !namespace_idr_ || !pid_links_) {
    return fail(
        "tasks: the kernel has no symbol init_pid_ns, no pid_namespace.idr or no "
        "task_struct.pid_links");
  }
  if (reader_.is_live()) {
    auto walked = until_whole<Task>([this] { return try_pid_namespace(); });
    report_walk(reader_, "pid_namespace.idr", *init_pid_ns_, walked.settled, walked.tries);
    if (walked.settled != Settled::still) return std::move(walked.found);
  }
  std::vector<Task> tasks;
  xarrays_.walk(*init_pid_ns_ + *namespace_idr_, "pid_namespace.idr",
                [&](std::uint64_t, VirtAddr pid) {
                  // A struct pid without a task names a process group or a session whose leader is
                  // gone.
                  if (const auto node = reader_.follow(pid, pid_first_task_)) {
                    tasks.push_back({*node - *pid_links_, TaskSource::pid_ns, std::nullopt});
                  }
                  return tasks.size() < kTaskLimit;
                });
  return tasks;
}

Result<const std::vector<Task>*> Tasks::list() const {
  list_once_.call([this] {
    list_ = walk_list_from_init();
    if (list_ && list_->empty()) {
      reader_.report("task_struct.tasks", *init_task_, "there is no task on the list");
    }
  });
  if (!list_) return tl::unexpected(list_.error());
  return &*list_;
}

Result<const std::vector<Task>*> Tasks::pid_namespace() const {
  pid_namespace_once_.call([this] {
    pid_namespace_ = walk_pid_namespace();
    if (pid_namespace_ && pid_namespace_->empty()) {
      reader_.report("pid_namespace.idr", *init_pid_ns_, "there is no task in it");
    }
  });
  if (!pid_namespace_) return tl::unexpected(pid_namespace_.error());
  return &*pid_namespace_;
}

Result<void> Tasks::check() const {
  ENGRAM_CHECK(list());
  ENGRAM_CHECK(pid_namespace());
  if (merged().empty()) {
    return fail("tasks: neither the list behind init_task nor the PID namespace has a single one");
  }
  return {};
}

const std::vector<Task>& Tasks::merged() const {
  merged_once_.call([this] {
    for (const auto& source : {list(), pid_namespace()}) {
      if (!source) continue;
      for (const auto& task : **source) {
        const auto [known, is_new] = index_.emplace(task.address, merged_.size());
        if (is_new) {
          merged_.push_back(task);
        } else if (auto& first = merged_[known->second]; first.source != task.source) {
          first.source = TaskSource::both;
        }
      }
    }
  });
  return merged_;
}

std::vector<Task> Tasks::of_both_sources() const {
  std::vector<Task> tasks;
  for (const auto& task : merged()) {
    if (is_still_there(task)) tasks.push_back(task);
  }
  return tasks;
}

std::optional<Task> Tasks::listed(VirtAddr address) const {
  const auto& tasks = merged();
  const auto known = index_.find(address);
  if (known == index_.end() || !is_still_there(tasks[known->second])) return std::nullopt;
  return tasks[known->second];
}

std::vector<Task> Tasks::list_from(VirtAddr root) const {
  if (root == init_task_) {
    const auto all = list();
    return all ? **all : std::vector<Task>();
  }
  if (!tasks_ || !at(root)) return {};
  // Only leaders are on the list; a thread's own node was never linked.
  auto tasks = walk_from(reader_.follow(root, group_leader_).value_or(root));
  for (auto& task : tasks) task.root_task = root;
  return tasks;
}

std::optional<Task> Tasks::at(VirtAddr address) const {
  // One whose struct pid somebody changed is a task all the same if it is on a list.
  if (!proves_itself(address) && !listed(address)) return std::nullopt;
  return Task{address, TaskSource::direct, std::nullopt};
}

// Any address may be asked about, so what is no task is no damage either: nothing is reported.
bool Tasks::proves_itself(VirtAddr task) const {
  const auto id = quiet_.get(task, pid_);
  const auto pid = quiet_.follow(task, thread_pid_);
  const auto node = pid ? quiet_.follow(*pid, pid_first_task_) : std::nullopt;
  // The proof: the struct pid that the task names leads back to it. Freed tasks and other data fail
  // it.
  return id && *id > 0 && *id <= kPidLimit && pid_links_ && node == task + *pid_links_;
}

std::optional<std::int32_t> Tasks::parent_pid(VirtAddr task) const {
  const auto parent = reader_.follow(task, parent_);
  return parent ? tgid(*parent) : std::nullopt;
}

std::optional<std::int32_t> Tasks::real_parent_pid(VirtAddr task) const {
  const auto parent = reader_.follow(task, real_parent_);
  return parent ? tgid(*parent) : std::nullopt;
}

std::optional<std::int32_t> Tasks::number_of_pid(std::optional<VirtAddr> pid) const {
  if (!pid || !pid_numbers_) return std::nullopt;
  const auto number = reader_.get(*pid + *pid_numbers_, upid_number_);
  return number ? std::optional(static_cast<std::int32_t>(*number)) : std::nullopt;
}

std::optional<std::int32_t> Tasks::process_group(VirtAddr task) const {
  const auto signal = reader_.follow(task, signal_);
  return signal ? number_of_pid(reader_.follow(*signal, signal_pgrp_)) : std::nullopt;
}

std::optional<std::int32_t> Tasks::session(VirtAddr task) const {
  const auto signal = reader_.follow(task, signal_);
  return signal ? number_of_pid(reader_.follow(*signal, signal_session_)) : std::nullopt;
}

std::vector<VirtAddr> Tasks::numbers(VirtAddr task) const {
  const auto pid = reader_.follow(task, thread_pid_);
  const auto level = pid ? reader_.get(*pid, pid_level_) : std::nullopt;
  if (!level || !pid_numbers_ || !upid_size_) return {};
  if (*level > kNamespaceLevelLimit) {
    reader_.report(pid_level_.name, *pid,
                   fmt::format("level {}, at most {} expected", *level, kNamespaceLevelLimit));
    return {};
  }
  std::vector<VirtAddr> numbers;
  for (std::uint64_t i = 0; i <= *level; ++i) {
    numbers.push_back(*pid + *pid_numbers_ + i * *upid_size_);
  }
  return numbers;
}

std::optional<std::vector<std::int32_t>> Tasks::namespace_pids(VirtAddr task) const {
  std::vector<std::int32_t> pids;
  for (const auto upid : numbers(task)) {
    const auto number = reader_.get(upid, upid_number_);
    if (!number) return std::nullopt;
    pids.push_back(static_cast<std::int32_t>(*number));
  }
  return pids.empty() ? std::nullopt : std::optional(std::move(pids));
}

std::optional<bool> Tasks::is_kernel_thread(VirtAddr task) const {
  const auto value = flags(task);
  return value ? std::optional((*value & kKernelThread) != 0) : std::nullopt;
}

// __task_state_index() in include/linux/sched.h and task_state_array in fs/proc/array.c.
std::optional<char> Tasks::state(VirtAddr task) const {
  constexpr std::uint64_t kReported = 0x7f;            // TASK_REPORT
  constexpr std::uint64_t kIdle = 0x402;               // TASK_IDLE: uninterruptible, but no load
  constexpr std::uint64_t kLockWaitOrFrozen = 0x9000;  // TASK_RTLOCK_WAIT (5.15), TASK_FROZEN (6.1)
  const auto state = reader_.get(task, state_);
  const auto exit = reader_.get(task, exit_state_);
  if (!state || !exit) return std::nullopt;
  if ((*state & kLockWaitOrFrozen) != 0) return 'D';
  if ((*state & kIdle) == kIdle) return 'I';
  return "RSDTtXZP"[std::bit_width((*state | static_cast<std::uint32_t>(*exit)) & kReported)];
}

// wait_task_zombie() in kernel/exit.c. The first thread may have ended by itself, before the
// others.
std::optional<std::int32_t> Tasks::exit_code(VirtAddr task) const {
  const auto signal = pid(task) == tgid(task) ? reader_.follow(task, signal_) : std::nullopt;
  const auto flags = signal ? reader_.get(*signal, group_flags_) : std::nullopt;
  if ((flags.value_or(0) & kGroupExit) != 0) return reader_.get(*signal, group_exit_code_);
  return reader_.get(task, exit_code_);
}

std::optional<std::int32_t> Tasks::thread_count(VirtAddr task) const {
  const auto signal = reader_.follow(task, signal_);
  return signal ? reader_.get(*signal, nr_threads_) : std::nullopt;
}

std::optional<std::uint32_t> Tasks::credential(VirtAddr task, Credential which) const {
  const auto cred = reader_.follow(task, real_cred_);
  return cred ? reader_.get(*cred, credentials_[static_cast<std::size_t>(which)]) : std::nullopt;
}

std::optional<Terminal> Tasks::terminal(VirtAddr task) const {
  const auto signal = reader_.follow(task, signal_);
  const auto tty = signal ? reader_.follow(*signal, signal_tty_) : std::nullopt;
  const auto driver = tty ? reader_.follow(*tty, tty_driver_) : std::nullopt;
  if (!driver) return std::nullopt;
  const auto index = reader_.get(*tty, tty_index_);
  const auto major = reader_.get(*driver, driver_major_);
  const auto first_minor = reader_.get(*driver, driver_minor_start_);
  const auto type = reader_.get(*driver, driver_type_);
  auto name = reader_.text(*tty, tty_name_);
  if (!index || !major || !first_minor || !type || !name) return std::nullopt;
  // The slave sides of UNIX98 pseudo-terminals are called ptsN and live in /dev/pts.
  if (*type == kPseudoTerminal && name->rfind("pts", 0) == 0) *name = fmt::format("pts/{}", *index);
  const auto minor = static_cast<std::uint32_t>(*first_minor) + static_cast<std::uint32_t>(*index);
  const std::uint32_t number =
      (minor & 0xffU) | static_cast<std::uint32_t>(*major) << 8U | (minor & ~0xffU) << 12U;
  return Terminal{std::move(*name), number};
}

// get_task_mm() in kernel/fork.c. kthread_use_mm() lends a kernel thread the memory of a process:
// vhost until 6.3, the workers of io_uring until 5.11.
std::optional<VirtAddr> Tasks::mm(VirtAddr task) const {
  if (is_kernel_thread(task).value_or(false)) return std::nullopt;
  return reader_.follow(task, mm_);
}

std::optional<PhysAddr> Tasks::page_table(VirtAddr mm) const {
  const auto pgd = reader_.follow(mm, mm_pgd_);
  if (!pgd) return std::nullopt;
  const auto translation = reader_.space().translate(*pgd);
  if (!translation) {
    reader_.report("mm_struct.pgd", mm, paging::to_string(translation.error()));
    return std::nullopt;
  }
  return translation->physical;
}

std::optional<VirtAddr> Tasks::in_fs(VirtAddr task, std::optional<std::uint64_t> offset) const {
  const auto fs = reader_.follow(task, fs_);
  if (!fs || !offset) return std::nullopt;
  return *fs + *offset;
}

}  // namespace engram::kernel
