// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/namespaces.h"

#include "kernel/linux/linux_kernel.h"
#include "tables/linux/task_rows.h"

namespace engram::tables {
namespace {

using kernel::NamespaceKind;
using kernel::Session;
using kernel::Task;

template <NamespaceKind kind>
Value inode(const Task& task, Session& session) {
  const auto& namespaces = (*session.linux_kernel())->namespaces();
  const auto found = namespaces.of_task(task.address, kind);
  return found ? cell(namespaces.inode(*found, kind)) : Null{};
}

template <auto member>
Value number(const Task& task, Session& session) {
  return cell(((*session.linux_kernel())->tasks().*member)(task.address));
}

const std::vector<Column<Task>>& columns() {
  using kernel::Tasks;
  static const std::vector<Column<Task>> list{
      {{"task", Type::pointer, "The task_struct: the key to join on.", false, true},
       [](const Task& task, Session&) { return cell(task.address); }},
      {{"pid", Type::integer, "Number of the thread."}, number<&Tasks::pid>},
      {{"tgid", Type::integer, "Number of the process."}, number<&Tasks::tgid>},
      {{"cgroup_namespace", Type::integer, "Inode number; NULL for zombies."},
       inode<NamespaceKind::cgroup>},
      {{"ipc_namespace", Type::integer, "Inode number; NULL for zombies."},
       inode<NamespaceKind::ipc>},
      {{"mnt_namespace", Type::integer, "Inode number; NULL for zombies."},
       inode<NamespaceKind::mount>},
      {{"net_namespace", Type::integer, "Inode number; NULL for zombies."},
       inode<NamespaceKind::network>},
      {{"pid_namespace", Type::integer, "Inode number of the one that the task itself is in."},
       inode<NamespaceKind::pid>},
      {{"user_namespace", Type::integer, "Inode number."}, inode<NamespaceKind::user>},
      {{"uts_namespace", Type::integer, "Inode number; NULL for zombies."},
       inode<NamespaceKind::uts>},
      {{"time_namespace", Type::integer,
        "Inode number; NULL for zombies and kernels without time namespaces."},
       inode<NamespaceKind::time>},
      {{"pid_namespace_for_children", Type::integer,
        "Inode number of the one that its children will be in; NULL for zombies."},
       inode<NamespaceKind::pid_for_children>},
      {{"time_namespace_for_children", Type::integer,
        "Inode number of the one that its children will be in; NULL as time_namespace."},
       inode<NamespaceKind::time_for_children>},
  };
  return list;
}

Result<Rows<Task>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto tasks, tasks_once(session, values, 0));
  return rows_of(std::move(tasks));
}

}  // namespace

const Table& namespaces_table() {
  static const DataTable<Task> table("namespaces",
                                     "The namespaces of every thread, as /proc/PID/ns shows them.",
                                     400, columns(), open);
  return table;
}

}  // namespace engram::tables
