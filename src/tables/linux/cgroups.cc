// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/cgroup.h"

#include "kernel/linux/linux_kernel.h"
#include "tables/linux/task_rows.h"

namespace engram::tables {
namespace {

using kernel::Cgroups;
using kernel::Session;

struct Membership {
  VirtAddr task, cgroup;
};

template <auto member>
Value of_task(const Membership& row, Session& session) {
  return cell(((*session.linux_kernel())->tasks().*member)(row.task));
}

template <auto member>
Value of_cgroup(const Membership& row, Session& session) {
  return cell(((*session.linux_kernel())->cgroups().*member)(row.cgroup));
}

Value container(const Membership& row, Session& session) {
  const auto path = (*session.linux_kernel())->cgroups().path(row.cgroup);
  return path ? cell(kernel::container_id(*path)) : Null{};
}

const std::vector<Column<Membership>>& columns() {
  using kernel::Tasks;
  static const std::vector<Column<Membership>> list{
      {{"task", Type::pointer, "The task_struct: the key to join on.", false, true},
       [](const Membership& row, Session&) { return cell(row.task); }},
      {{"pid", Type::integer, "Number of the thread."}, of_task<&Tasks::pid>},
      {{"tgid", Type::integer, "Number of the process."}, of_task<&Tasks::tgid>},
      {{"virtual_address", Type::pointer, "The struct cgroup."},
       [](const Membership& row, Session&) { return cell(row.cgroup); }},
      {{"hierarchy", Type::integer, "Number of the hierarchy: 0 is the unified one (version 2)."},
       of_cgroup<&Cgroups::hierarchy>},
      {{"controllers", Type::text,
        "Controllers of a hierarchy of version 1, comma-separated, with name=NAME; empty for the "
        "unified one."},
       of_cgroup<&Cgroups::controllers>},
      {{"path", Type::text,
        "From the root of the hierarchy, with ` (deleted)` for one that was removed."},
       of_cgroup<&Cgroups::path>},
      {{"container_id", Type::text,
        "Identifier of the container, from the path: its last 64 hexadecimal digits in a row, or "
        "NAME of lxc.payload.NAME; NULL if there is none."},
       container},
  };
  return list;
}

Result<Rows<Membership>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  if (!kernel->cgroups().are_known()) {
    return fail("cgroups: the kernel's types have no control groups: it is built without them");
  }
  ENGRAM_TRY(auto tasks, tasks_once(session, values, 0));
  return [&cgroups = kernel->cgroups(), tasks = std::move(tasks), next = std::size_t{0},
          found = std::vector<VirtAddr>(),
          at = std::size_t{0}]() mutable -> Result<std::optional<Membership>> {
    while (at == found.size()) {
      if (next == tasks.size()) return std::optional<Membership>();
      found = cgroups.of_task(tasks[next++].address);
      at = 0;
    }
    return Membership{tasks[next - 1].address, found[at++]};
  };
}

}  // namespace

const Table& cgroups_table() {
  static const DataTable<Membership> table(
      "cgroups",
      "The control groups of every thread, one in each hierarchy, as /proc/PID/cgroup shows them "
      "to a reader in the initial cgroup namespace. That file leaves out the unified hierarchy "
      "until somebody has mounted it, shows `/` for exiting threads in hierarchies of version 1, "
      "and ` (deleted)` in the unified one only; the table has their group, and says of any that "
      "was removed.",
      400, columns(), open);
  return table;
}

}  // namespace engram::tables
