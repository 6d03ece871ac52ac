// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/process_strings.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using kernel::LinuxKernel;
using kernel::Session;
using kernel::Task;
using kernel::TaskSource;

/// Tables are opened only when there is a kernel, so that its absence is no case here.
LinuxKernel& kernel_of(Session& session) {
  return **session.linux_kernel();
}
const kernel::Tasks& tasks_of(Session& session) {
  return kernel_of(session).tasks();
}

/// As its sources have it, also where the query named its address.
Task as_listed(const Task& task, Session& session) {
  if (task.source != TaskSource::direct) return task;
  return tasks_of(session).listed(task.address).value_or(task);
}

Value source(const Task& task, Session& session) {
  switch (as_listed(task, session).source) {
    case TaskSource::task_list:
      return cell("task_list");
    case TaskSource::pid_ns:
      return cell("pid_ns");
    case TaskSource::both:
      return cell("both");
    case TaskSource::direct:
      break;
  }
  return cell("direct");
}

/// Of a running guest as it was found: what is at the address may be a copy of another task by now
/// (dup_task_struct() in kernel/fork.c), with its number.
Value thread_number(const Task& task, Session& session) {
  if (task.identity) return cell(task.identity->pid);
  return cell(tasks_of(session).pid(task.address));
}

Value type(const Task& task, Session& session) {
  const auto& tasks = tasks_of(session);
  const auto kernel_thread = tasks.is_kernel_thread(task.address);
  const auto pid = tasks.pid(task.address), tgid = tasks.tgid(task.address);
  if (!kernel_thread || !pid || !tgid) return Null{};
  if (*kernel_thread) return cell("kthread");
  return cell(pid == tgid ? "thread_group_leader" : "thread");
}

Value state(const Task& task, Session& session) {
  const auto letter = tasks_of(session).state(task.address);
  return letter ? cell(std::string(1, *letter)) : Null{};
}

Value namespace_pids(const Task& task, Session& session) {
  const auto numbers = tasks_of(session).namespace_pids(task.address);
  if (!numbers) return Null{};
  std::string text;
  for (const auto number : *numbers)
    fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "" : " ", number);
  return text;
}

Value binary_path(const Task& task, Session& session) {
  const auto& tasks = tasks_of(session);
  const auto mm = tasks.mm(task.address);
  const auto file = mm ? tasks.executable(*mm) : std::nullopt;
  return file ? cell(kernel_of(session).paths().of_file(*file)) : Null{};
}

Value path_at(Session& session, std::optional<VirtAddr> path) {
  return path ? cell(kernel_of(session).paths().text_at(*path)) : Null{};
}

/// The root of the task's own page tables. Kernel threads run on whatever is loaded: the kernel's
/// own.
Value page_table(const Task& task, Session& session) {
  const auto& tasks = tasks_of(session);
  if (const auto mm = tasks.mm(task.address)) return cell(tasks.page_table(*mm));
  const bool kernel_thread = tasks.is_kernel_thread(task.address).value_or(false);
  return kernel_thread ? cell(kernel_of(session).space().root()) : Null{};
}

using Strings = std::optional<std::vector<std::string>> (kernel::ProcessStrings::*)(VirtAddr,
                                                                                    PhysAddr) const;

Value strings(const Task& task, Session& session, Strings read) {
  const auto& tasks = tasks_of(session);
  const auto mm = tasks.mm(task.address);
  const auto root = mm ? tasks.page_table(*mm) : std::nullopt;
  if (!root) return Null{};
  const auto found = (kernel_of(session).process_strings().*read)(*mm, *root);
  return found && !found->empty() ? cell(kernel::shell_words(*found)) : Null{};
}

/// A column that is one number which Tasks reads.
template <auto member>
Value number(const Task& task, Session& session) {
  return cell((tasks_of(session).*member)(task.address));
}

template <kernel::Credential which>
Value credential(const Task& task, Session& session) {
  return cell(tasks_of(session).credential(task.address, which));
}

template <auto member>
Value terminal(const Task& task, Session& session) {
  const auto terminal = tasks_of(session).terminal(task.address);
  return terminal ? cell((*terminal).*member) : Null{};
}

const std::vector<Column<Task>>& columns() {
  using kernel::Credential;
  using kernel::Tasks;
  static const std::vector<Column<Task>> list{
      {{"virtual_address", Type::pointer,
        "The task_struct: the key to join on. An address names its task, also one that no source "
        "has.",
        false, true},
       [](const Task& task, Session&) { return cell(task.address); }},
      {{"source", Type::text,
        "Who has the task: `both`, `task_list`, `pid_ns`, or `direct`: only the query, which named "
        "its address. `source = 'task_list'` or `'pid_ns'` lists all that this source has; hidden "
        "from one of them are those with `source NOT IN ('both')`.",
        true, true},
       source},
      {{"root_task", Type::pointer,
        "Of one that the task list has: the task at which the walk began.", true, true},
       [](const Task& task, Session& session) { return cell(as_listed(task, session).root_task); }},
      {{"type", Type::text, "`kthread`, `thread_group_leader` (a process) or `thread`."}, type},
      {{"pid", Type::integer, "Number of the thread."}, thread_number},
      {{"tgid", Type::integer, "Number of the process."}, number<&Tasks::tgid>},
      {{"ppid", Type::integer, "Process that gets its signals: the tracer while traced."},
       number<&Tasks::parent_pid>},
      {{"real_ppid", Type::integer, "Parent process, as /proc shows it."},
       number<&Tasks::real_parent_pid>},
      {{"comm", Type::text, "Name of the thread, at most 15 bytes."}, number<&Tasks::comm>},
      {{"state", Type::text, "R, S, D, T, t, X, Z, P or I, as ps prints it."}, state},
      {{"flags", Type::integer, "PF_* bits."}, number<&Tasks::flags>},
      {{"exit_code", Type::integer,
        "Wait status of an exited task: of the first thread of a process that ended as a whole, "
        "that of "
        "the process."},
       number<&Tasks::exit_code>},
      {{"uid", Type::integer, "Real user id."}, credential<Credential::uid>},
      {{"gid", Type::integer, "Real group id."}, credential<Credential::gid>},
      {{"euid", Type::integer, "Effective user id."}, credential<Credential::euid>},
      {{"egid", Type::integer, "Effective group id."}, credential<Credential::egid>},
      {{"suid", Type::integer, "Saved user id."}, credential<Credential::suid>},
      {{"sgid", Type::integer, "Saved group id."}, credential<Credential::sgid>},
      {{"sid", Type::integer, "Session."}, number<&Tasks::session>},
      {{"pgid", Type::integer, "Process group."}, number<&Tasks::process_group>},
      {{"nspid", Type::text,
        "The thread's number in each PID namespace, outermost first, blank-separated."},
       namespace_pids},
      {{"tty", Type::text, "Controlling terminal as ps prints it; NULL if there is none."},
       terminal<&kernel::Terminal::name>},
      {{"tty_nr", Type::integer, "Its device number, as in /proc/PID/stat."},
       terminal<&kernel::Terminal::number>},
      {{"threads", Type::integer, "Threads of the process."}, number<&Tasks::thread_count>},
      {{"binary_path", Type::text,
        "Executable, with mount prefix and ` (deleted)`; NULL for kernel threads and zombies."},
       binary_path},
      {{"command_line", Type::text,
        "Arguments as shell words, empty ones kept; NULL if there are none or a page is absent."},
       [](const Task& task, Session& session) {
         return strings(task, session, &kernel::ProcessStrings::arguments);
       }},
      {{"environment", Type::text,
        "Environment as shell words; NULL if empty or a page is absent."},
       [](const Task& task, Session& session) {
         return strings(task, session, &kernel::ProcessStrings::environment);
       }},
      {{"cwd", Type::text, "Working directory."},
       [](const Task& task, Session& session) {
         return path_at(session, tasks_of(session).working_directory(task.address));
       }},
      {{"root", Type::text, "Root directory."},
       [](const Task& task, Session& session) {
         return path_at(session, tasks_of(session).root_directory(task.address));
       }},
      {{"page_table", Type::pointer,
        "Physical address of the root page table; the kernel's for kernel threads, NULL for "
        "zombies."},
       page_table},
      {{"start_time", Type::integer, "Nanoseconds of CLOCK_MONOTONIC."},
       number<&Tasks::start_time>},
      {{"start_boottime", Type::integer, "Nanoseconds since boot, sleep included."},
       number<&Tasks::start_boottime>},
      {{"leader", Type::pointer, "The task_struct of the first thread of the process."},
       number<&Tasks::leader>},
      {{"file_table", Type::pointer,
        "The files_struct: file_table of task_open_files; NULL for zombies."},
       number<&Tasks::file_table>},
  };
  return list;
}

/// What the query fixes of the three key columns.
struct Keys {
  std::optional<VirtAddr> address, root;
  std::optional<std::string> source;
};

constexpr std::array<std::string_view, 4> kSources{"both", "task_list", "pid_ns", "direct"};

Result<Keys> read_keys(std::span<const KeyValue> values) {
  Keys keys;
  for (const auto& key : values) {
    const auto name = columns()[key.column].info.name;
    if (const auto* text = std::get_if<std::string>(&key.value); text && name == "source") {
      const bool is_known = std::find(kSources.begin(), kSources.end(), *text) != kSources.end();
      if (!is_known && key.is_constant) {
        return fail("tasks: source is '{}', 'task_list', 'pid_ns', 'both' or 'direct' expected",
                    *text);
      }
      keys.source = *text;
    } else if (const auto* integer = std::get_if<std::int64_t>(&key.value);
               integer && name != "source") {
      (name == "root_task" ? keys.root : keys.address) =
          VirtAddr(static_cast<std::uint64_t>(*integer));
    } else {
      return fail("tasks: {} was compared with a value of another type", name);
    }
  }
  return keys;
}

/// Leaves out tasks of a running guest that are others by now.
Rows<Task> rows_still_there(const kernel::Tasks& tasks, const std::vector<Task>& list) {
  return [&tasks, &list, at = std::size_t{0}]() mutable -> Result<std::optional<Task>> {
    while (at < list.size()) {
      if (const Task& task = list[at++]; tasks.is_still_there(task)) return task;
    }
    return std::optional<Task>();
  };
}

Result<Rows<Task>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(const auto keys, read_keys(values));
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& tasks = kernel->tasks();
  // With a source or a root, an address chooses among theirs: joins do that, and SQLite compares
  // each row's address itself. So it does with a root of the tasks that both sources have.
  if (keys.root && keys.source.value_or("task_list") == "task_list") {
    return rows_of(tasks.list_from(*keys.root));
  }
  if (keys.source == "task_list" || keys.source == "pid_ns") {
    ENGRAM_TRY(const auto* list, *keys.source == "pid_ns" ? tasks.pid_namespace() : tasks.list());
    return rows_still_there(tasks, *list);
  }
  if (keys.address) {
    const auto task = tasks.at(*keys.address);
    return rows_of(task ? std::vector{*task} : std::vector<Task>());
  }
  ENGRAM_CHECK(tasks.check());
  return rows_still_there(tasks, tasks.merged());
}

}  // namespace

const Table& linux_tasks_table() {
  static const DataTable<Task> table("tasks",
                                     "Every thread, once, from two independent sources: "
                                     "`source` says which of them have it.",
                                     400, columns(), open);
  return table;
}

}  // namespace engram::tables
