// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/threads.h"

#include "tables/windows/process_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::windows::Thread;
using kernel::windows::Threads;

const Threads& threads_of(Session& session) {
  return windows_kernel_of(session).threads();
}

template <auto member>
Value read(const Thread& thread, Session& session) {
  return cell((threads_of(session).*member)(thread));
}

Value state(const Thread& thread, Session& session) {
  const auto number = threads_of(session).state(thread);
  return number ? cell(kernel::windows::thread_state_name(*number)) : Null{};
}

Value process_name(const Thread& thread, Session& session) {
  return cell(windows_kernel_of(session).processes().name(thread.process));
}

const std::vector<Column<Thread>>& columns() {
  static const std::vector<Column<Thread>> list{
      {{"process", Type::pointer, "The EPROCESS that lists it: the key to join on.", false, true},
       [](const Thread& thread, Session&) { return cell(thread.process); }},
      {{"virtual_address", Type::pointer, "The ETHREAD."},
       [](const Thread& thread, Session&) { return cell(thread.address); }},
      {{"pid", Type::integer, "Number of the process, as the thread has it."},
       read<&Threads::process_id>},
      {{"tid", Type::integer, "Number of the thread."}, read<&Threads::id>},
      {{"process_name", Type::text, "ImageFileName of the process."}, process_name},
      {{"state", Type::text,
        "`initialized`, `ready`, `running`, `standby`, `terminated`, `waiting`, `transition`, "
        "`deferred_ready`, `gate_wait` or `waiting_for_process_in_swap`; NULL for another value."},
       state},
      {{"wait_reason", Type::integer,
        "KWAIT_REASON of a thread that waits; NULL if this kernel's offset is not known."},
       read<&Threads::wait_reason>},
      {{"start_address", Type::pointer, "Where it began in the kernel's eyes."},
       read<&Threads::start_address>},
      {{"win32_start_address", Type::pointer,
        "The function that CreateThread() was called with; NULL for threads of the kernel."},
       read<&Threads::win32_start_address>},
      {{"teb", Type::pointer,
        "Its environment block, in the memory of the process; NULL for threads of the kernel."},
       read<&Threads::teb>},
      {{"start_time", Type::integer, "When it was made, Unix time in seconds."},
       [](const Thread& thread, Session& session) {
         return unix_time(threads_of(session).create_time(thread));
       }},
      {{"stack_base", Type::pointer, "Where its kernel stack begins: the highest address."},
       read<&Threads::stack_base>},
      {{"kernel_stack", Type::pointer, "Its stack pointer when it was last switched away from."},
       read<&Threads::kernel_stack>},
  };
  return list;
}

Result<Rows<Thread>> open(Session& session, std::span<const KeyValue> values) {
  constexpr std::size_t kProcess = 0;
  ENGRAM_TRY(auto processes, windows_processes(session, values, kProcess));
  const auto& threads = threads_of(session);
  if (!threads.is_known()) {
    return fail(
        "threads: it is not known where this build of Windows lists them: --symbols FILE "
        "says it");
  }
  return rows_of_processes<Thread>(std::move(processes),
                                   [&threads](VirtAddr process) { return threads.of(process); });
}

}  // namespace

const Table& threads_table() {
  static const DataTable<Thread> table(
      "threads", "Windows only: the threads that each process lists.", 2000, columns(), open);
  return table;
}

}  // namespace engram::tables
