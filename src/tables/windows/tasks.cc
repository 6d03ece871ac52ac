// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "kernel/linux/process_strings.h"
#include "kernel/windows/threads.h"
#include "tables/windows/process_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::windows::Processes;

const Processes& processes_of(Session& session) {
  return windows_kernel_of(session).processes();
}

template <auto member>
Value read(const VirtAddr& process, Session& session) {
  return cell((processes_of(session).*member)(process));
}

template <auto member>
Value time(const VirtAddr& process, Session& session) {
  return unix_time((processes_of(session).*member)(process));
}

Value start_boottime(const VirtAddr& process, Session& session) {
  constexpr std::uint64_t kNanosecondsPerTick = 100;
  const auto boot = windows_kernel_of(session).boot_time();
  const auto created = processes_of(session).create_time(process);
  constexpr std::uint64_t kLatest = std::numeric_limits<std::int64_t>::max();
  if (!boot || !created || *created < *boot) return Null{};
  const std::uint64_t ticks = *created - *boot;
  return ticks <= kLatest / kNanosecondsPerTick ? cell(ticks * kNanosecondsPerTick) : Null{};
}

Value environment(const VirtAddr& process, Session& session) {
  const auto texts = processes_of(session).environment(process);
  return texts && !texts->empty() ? cell(kernel::shell_words(*texts)) : Null{};
}

Value itself(const VirtAddr& process, Session&) {
  return cell(process);
}

const std::vector<Column<VirtAddr>>& columns() {
  static const std::vector<Column<VirtAddr>> list{
      {{"virtual_address", Type::pointer, "The EPROCESS.", false, true}, itself},
      {{"source", Type::text, "`task_list`."},
       [](const VirtAddr&, Session&) { return cell("task_list"); }},
      {{"type", Type::text, "`process`."},
       [](const VirtAddr&, Session&) { return cell("process"); }},
      {{"pid", Type::integer, "Number of the process."}, read<&Processes::id>},
      {{"tgid", Type::integer, "The same."}, read<&Processes::id>},
      {{"ppid", Type::integer, "The process that made it."}, read<&Processes::parent_id>},
      {{"real_ppid", Type::integer, "The same."}, read<&Processes::parent_id>},
      {{"comm", Type::text, "ImageFileName."}, read<&Processes::name>},
      {{"threads", Type::integer, "Threads that it lists; NULL in a small dump."},
       [](const VirtAddr& process, Session& session) {
         auto& kernel = windows_kernel_of(session);
         // A small dump has one, of however many.
         if (kernel.small_dump() || !kernel.threads().is_known()) return Value{Null{}};
         return cell(kernel.threads().of(process).size());
       }},
      {{"binary_path", Type::text, "ImagePathName."}, read<&Processes::image_path>},
      {{"command_line", Type::text, "CommandLine."}, read<&Processes::command_line>},
      {{"environment", Type::text, "Environment."}, environment},
      {{"cwd", Type::text, "CurrentDirectory."}, read<&Processes::working_directory>},
      {{"page_table", Type::pointer, "DirectoryTableBase."}, read<&Processes::root>},
      {{"start_boottime", Type::integer, "CreateTime."}, start_boottime},
      {{"leader", Type::pointer, "The same as virtual_address."}, itself},
      {{"create_time", Type::integer,
        "Windows: when it was made, Unix time in seconds; NULL if that was never set."},
       time<&Processes::create_time>},
      {{"exit_time", Type::integer,
        "Windows: when it ended, Unix time in seconds; NULL if it has not, or if this kernel's "
        "offset is not known."},
       time<&Processes::exit_time>},
      {{"peb", Type::pointer,
        "Windows: its environment block, in its own memory; NULL for System and what has ended."},
       read<&Processes::peb>},
      {{"peb32", Type::pointer, "Windows: the block that a 32-bit process has beside it."},
       read<&Processes::peb32>},
      {{"user_page_table", Type::pointer,
        "Windows: physical address of the root page table that its own code runs on, if that is "
        "another one (KVA shadow)."},
       read<&Processes::user_root>},
      {{"handle_table", Type::pointer, "Windows: the HANDLE_TABLE; NULL for what has ended."},
       read<&Processes::object_table>},
      {{"token", Type::pointer, "Windows: the TOKEN that says what it may do."},
       read<&Processes::token>},
  };
  return list;
}

Result<Rows<VirtAddr>> open(Session& session, std::span<const KeyValue> values) {
  constexpr std::size_t kVirtualAddress = 0;
  ENGRAM_TRY(auto processes, windows_processes(session, values, kVirtualAddress));
  return rows_of(std::move(processes));
}

}  // namespace

const Table& windows_tasks_table() {
  static const DataTable<VirtAddr> table(
      "tasks", "every process (EPROCESS); its threads are in `threads`.", 200, columns(), open);
  return table;
}

}  // namespace engram::tables
