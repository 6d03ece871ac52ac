// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <iterator>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/task_security.h"
#include "tables/linux/task_rows.h"

namespace engram::tables {
namespace {

using kernel::CapabilitySets;
using kernel::Session;
using kernel::Task;

// include/uapi/linux/capability.h; the last one is of 5.9.
constexpr std::string_view kNames[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};
constexpr unsigned kKnown = std::size(kNames);
constexpr unsigned kBits = 64;

struct Capability {
  VirtAddr task;
  CapabilitySets sets;
  unsigned number = 0;  ///< the bit
};

Value name(const Capability& row, Session&) {
  if (row.number < kKnown) return cell(kNames[row.number]);
  return cell(fmt::format("CAP_UNKNOWN_BIT_{}", row.number));
}

template <auto set>
Value is_in(const Capability& row, Session&) {
  const auto& bits = row.sets.*set;
  return bits ? cell((*bits >> row.number & 1U) != 0) : Null{};
}

const std::vector<Column<Capability>>& columns() {
  static const std::vector<Column<Capability>> list{
      {{"task", Type::pointer, "The task_struct: the key to join on.", false, true},
       [](const Capability& row, Session&) { return cell(row.task); }},
      {{"name", Type::text, "`CAP_CHOWN` ...; `CAP_UNKNOWN_BIT_n` for a bit without a name."},
       name},
      {{"effective", Type::integer, "1 if it counts now; NULL if the set cannot be read."},
       is_in<&CapabilitySets::effective>},
      {{"permitted", Type::integer, "1 if the task may make it effective; NULL as for effective."},
       is_in<&CapabilitySets::permitted>},
      {{"inheritable", Type::integer,
        "1 if exec of a file that has it inheritable, too, keeps it; NULL as for effective."},
       is_in<&CapabilitySets::inheritable>},
      {{"bounding", Type::integer,
        "1 if exec of a file may give it to the task; NULL as for effective."},
       is_in<&CapabilitySets::bounding>},
      {{"ambient", Type::integer, "1 if exec of an ordinary file keeps it; NULL as for effective."},
       is_in<&CapabilitySets::ambient>},
      {{"number", Type::integer, "Number of the bit, from 0 on."},
       [](const Capability& row, Session&) { return cell(row.number); }},
  };
  return list;
}

/// All that have a name, and those others that are in a set.
bool is_listed(const Capability& row) {
  const auto& sets = row.sets;
  const std::uint64_t all = sets.effective.value_or(0) | sets.permitted.value_or(0) |
                            sets.inheritable.value_or(0) | sets.bounding.value_or(0) |
                            sets.ambient.value_or(0);
  return row.number < kKnown || (all >> row.number & 1U) != 0;
}

Result<Rows<Capability>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto tasks, tasks_once(session, values, 0));
  const auto& security = (*session.linux_kernel())->task_security();
  return [&security, tasks = std::move(tasks), at = std::size_t{0},
          row = Capability{{}, {}, kBits}]() mutable -> Result<std::optional<Capability>> {
    while (true) {
      if (row.number < kBits) ++row.number;
      while (row.number < kBits && !is_listed(row)) ++row.number;
      if (row.number < kBits) return std::optional(row);
      if (at == tasks.size()) return std::optional<Capability>();
      const VirtAddr task = tasks[at++].address;
      row = {task, security.capabilities(task), 0};
      return std::optional(row);
    }
  };
}

}  // namespace

const Table& task_capabilities_table() {
  static const DataTable<Capability> table(
      "task_capabilities",
      "What each thread may do: a row for each of the 41 capabilities that have a name, and for "
      "bits without one that are set. The view `process_capabilities` has a row for each process.",
      8000, columns(), open);
  return table;
}

}  // namespace engram::tables
