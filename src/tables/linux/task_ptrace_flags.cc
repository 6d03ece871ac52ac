// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <iterator>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/task_security.h"
#include "tables/linux/task_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;

struct Flag {
  std::string_view name;
  std::uint32_t bit;
};

// include/linux/ptrace.h; an event's flag is its number's bit, moved by PT_OPT_FLAG_SHIFT.
constexpr Flag kFlags[] = {
    {"PT_PTRACED", 0x1},
    {"PT_TRACESYSGOOD", 0x8},
    {"PT_TRACE_FORK", 0x10},
    {"PT_TRACE_VFORK", 0x20},
    {"PT_TRACE_CLONE", 0x40},
    {"PT_TRACE_EXEC", 0x80},
    {"PT_TRACE_VFORK_DONE", 0x100},
    {"PT_TRACE_EXIT", 0x200},
    {"PT_TRACE_SECCOMP", 0x400},
    {"PT_SEIZED", 0x10000},
    {"PT_EXITKILL", 0x800000},
    {"PT_SUSPEND_SECCOMP", 0x1000000},
};
constexpr std::size_t kUnused = std::size(kFlags), kRaw = kUnused + 1, kRows = kRaw + 1;

struct PtraceFlag {
  VirtAddr task;
  std::optional<std::uint32_t> flags;
  std::size_t index = 0;  ///< in kFlags, kUnused or kRaw
};

const kernel::TaskSecurity& security_of(Session& session) {
  return (*session.linux_kernel())->task_security();
}

Value name(const PtraceFlag& row, Session&) {
  if (row.index == kUnused) return cell("unused");
  return row.index == kRaw ? cell("raw") : cell(kFlags[row.index].name);
}

Value value(const PtraceFlag& row, Session&) {
  if (!row.flags) return Null{};
  if (row.index == kRaw) return cell(fmt::format("0x{:08x}", *row.flags));
  if (row.index < kUnused) return cell((*row.flags & kFlags[row.index].bit) != 0 ? "1" : "0");
  std::uint32_t unused = *row.flags;
  for (const auto& flag : kFlags) unused &= ~flag.bit;
  return cell(fmt::format("0x{:08x}", unused));
}

Value tracer_pid(const PtraceFlag& row, Session& session) {
  const auto tracer = security_of(session).tracer(row.task);
  return tracer ? cell((*session.linux_kernel())->tasks().pid(*tracer)) : Null{};
}

const std::vector<Column<PtraceFlag>>& columns() {
  static const std::vector<Column<PtraceFlag>> list{
      {{"task", Type::pointer, "The task_struct: the key to join on.", false, true},
       [](const PtraceFlag& row, Session&) { return cell(row.task); }},
      {{"name", Type::text,
        "`PT_PTRACED` ...; `unused`: the bits without a name; `raw`: all of them."},
       name},
      {{"value", Type::text,
        "`1` or `0`; of `unused` and `raw` 0x and eight hexadecimal digits; NULL if it cannot be "
        "read."},
       value},
      {{"tracer", Type::pointer,
        "The task_struct of the thread that traces it; NULL if none does."},
       [](const PtraceFlag& row, Session& session) {
         return cell(security_of(session).tracer(row.task));
       }},
      {{"tracer_pid", Type::integer, "Number of that thread; NULL if nobody traces it."},
       tracer_pid},
  };
  return list;
}

Result<Rows<PtraceFlag>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto tasks, tasks_once(session, values, 0));
  return [&security = security_of(session), tasks = std::move(tasks), at = std::size_t{0},
          row = PtraceFlag{{}, {}, kRaw}]() mutable -> Result<std::optional<PtraceFlag>> {
    if (++row.index < kRows) return std::optional(row);
    if (at == tasks.size()) return std::optional<PtraceFlag>();
    const VirtAddr task = tasks[at++].address;
    row = {task, security.ptrace_flags(task), 0};
    return std::optional(row);
  };
}

}  // namespace

const Table& task_ptrace_flags_table() {
  static const DataTable<PtraceFlag> table(
      "task_ptrace_flags",
      "How each thread is traced: a row for each flag of ptrace(2). The view "
      "`process_ptrace_flags` has a row for each process.",
      3000, columns(), open);
  return table;
}

}  // namespace engram::tables
