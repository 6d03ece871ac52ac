// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/handles.h"

#include "kernel/windows/access_rights.h"
#include "kernel/windows/objects.h"
#include "kernel/windows/threads.h"
#include "tables/windows/process_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::windows::Handle;
using kernel::windows::HandleWalk;

template <auto member>
Value of_handle(const Handle& handle, Session&) {
  return cell(handle.*member);
}

Value type(const Handle& handle, Session& session) {
  const auto* found = windows_kernel_of(session).objects().type_of(handle.object);
  return found != nullptr ? cell(found->name) : Value{Null{}};
}

Value access_names(const Handle& handle, Session& session) {
  const auto* found = windows_kernel_of(session).objects().type_of(handle.object);
  return cell(kernel::windows::access_names(found != nullptr ? found->name : std::string(),
                                            handle.granted_access));
}

bool is_of_type(const Handle& handle, Session& session, std::string_view name) {
  const auto* found = windows_kernel_of(session).objects().type_of(handle.object);
  return found != nullptr && found->name == name;
}

Value target_pid(const Handle& handle, Session& session) {
  auto& kernel = windows_kernel_of(session);
  if (is_of_type(handle, session, "Process")) return cell(kernel.processes().id(handle.object));
  if (!is_of_type(handle, session, "Thread")) return Null{};
  return cell(kernel.threads().process_id({handle.object, {}}));
}

Value target_tid(const Handle& handle, Session& session) {
  if (!is_of_type(handle, session, "Thread")) return Null{};
  return cell(windows_kernel_of(session).threads().id({handle.object, {}}));
}

const std::vector<Column<Handle>>& columns() {
  static const std::vector<Column<Handle>> list{
      {{"process", Type::pointer, "The EPROCESS whose handle it is: the key to join on.", false,
        true},
       of_handle<&Handle::process>},
      {{"pid", Type::integer, "Number of the process."},
       [](const Handle& handle, Session& session) {
         return cell(windows_kernel_of(session).processes().id(handle.process));
       }},
      {{"process_name", Type::text, "ImageFileName of the process."},
       [](const Handle& handle, Session& session) {
         return cell(windows_kernel_of(session).processes().name(handle.process));
       }},
      {{"handle", Type::integer, "The handle: a multiple of 4, unique in the process."},
       of_handle<&Handle::number>},
      {{"object", Type::pointer,
        "The object that it stands for: the EPROCESS of a process, the ETHREAD of a thread."},
       of_handle<&Handle::object>},
      {{"type", Type::text,
        "`Process`, `File`, `Key` and other names of types; NULL if the types of this kernel are "
        "not known."},
       type},
      {{"granted_access", Type::integer, "The access mask that it was opened with."},
       of_handle<&Handle::granted_access>},
      {{"granted_access_names", Type::text,
        "The same in words, as winnt.h has them: `PROCESS_VM_READ | SYNCHRONIZE`; rights without a "
        "name for this type are a number at the end."},
       access_names},
      {{"inherit", Type::integer, "1 if processes that the process makes get it, too."},
       of_handle<&Handle::is_inherited>},
      {{"protect_from_close", Type::integer, "1 if it cannot be closed."},
       of_handle<&Handle::is_protected>},
      {{"audit", Type::integer, "1 if closing it is written to the log of security."},
       of_handle<&Handle::is_audited>},
      {{"name", Type::text,
        "Of a file its device and name, of a registry key its path, of a process its program, of "
        "others their path in the tree of objects; NULL if it has none or its type is not known."},
       [](const Handle& handle, Session& session) {
         return cell(windows_kernel_of(session).objects().name_of(handle.object));
       }},
      {{"target_pid", Type::integer,
        "Number of the process that it stands for, or whose thread it stands for; NULL for other "
        "types."},
       target_pid},
      {{"target_tid", Type::integer,
        "Number of the thread that it stands for; NULL for other types."},
       target_tid},
      {{"virtual_address", Type::pointer, "The HANDLE_TABLE_ENTRY."}, of_handle<&Handle::entry>},
  };
  return list;
}

Result<Rows<Handle>> open(Session& session, std::span<const KeyValue> values) {
  constexpr std::size_t kProcess = 0;
  ENGRAM_TRY(auto processes, windows_processes(session, values, kProcess));
  ENGRAM_CHECK(windows_kernel_of(session).require_whole_memory("handles"));
  const auto& handles = windows_kernel_of(session).handles();
  if (!handles.is_known()) {
    return fail(
        "handles: the layout of handle tables is not known of this build of Windows: "
        "--symbols FILE says it");
  }
  return [&handles, processes = std::move(processes), process = std::size_t{0},
          walk = std::shared_ptr<HandleWalk>()]() mutable -> Result<std::optional<Handle>> {
    for (;;) {
      auto handle = walk ? walk->next() : std::nullopt;
      if (handle) return handle;
      walk.reset();
      if (process == processes.size()) return std::optional<Handle>();
      walk = handles.walk(processes[process++]);
    }
  };
}

}  // namespace

const Table& handles_table() {
  static const DataTable<Handle> table(
      "handles", "Windows only: what each process has open, as its table of handles says.", 20000,
      columns(), open);
  return table;
}

}  // namespace engram::tables
