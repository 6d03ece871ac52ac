// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/modules.h"

#include "tables/windows/process_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::windows::LoadedModule;
using kernel::windows::UnloadedDriver;

template <auto member>
Value of_module(const LoadedModule& module, Session&) {
  return cell(module.*member);
}

template <auto member>
Value of_unloaded(const UnloadedDriver& driver, Session&) {
  return cell(driver.*member);
}

Value end_address(const LoadedModule& module, Session&) {
  return module.base && module.size ? cell(*module.base + *module.size) : Null{};
}

const std::vector<Column<LoadedModule>>& driver_columns() {
  static const std::vector<Column<LoadedModule>> list{
      {{"virtual_address", Type::pointer, "The KLDR_DATA_TABLE_ENTRY; NULL in a small dump."},
       of_module<&LoadedModule::address>},
      {{"name", Type::text, "BaseDllName; NULL if it cannot be read."},
       of_module<&LoadedModule::name>},
      {{"path", Type::text, "FullDllName; NULL if it cannot be read, and in a small dump."},
       of_module<&LoadedModule::path>},
      {{"base_address", Type::pointer, "Where the image begins."}, of_module<&LoadedModule::base>},
      {{"end_address", Type::pointer, "The address behind its last byte."}, end_address},
      {{"size", Type::integer, "Bytes of the image in memory."}, of_module<&LoadedModule::size>},
      {{"entry_point", Type::pointer, "Its first function; 0 if it has none."},
       of_module<&LoadedModule::entry_point>},
      {{"load_count", Type::integer, "References to it."}, of_module<&LoadedModule::load_count>},
      {{"timestamp", Type::integer,
        "TimeDateStamp of the file: Unix time in seconds, or a hash in reproducible builds; NULL "
        "if "
        "the structures of this kernel are not known."},
       of_module<&LoadedModule::timestamp>},
  };
  return list;
}

const std::vector<Column<LoadedModule>>& module_columns() {
  static const std::vector<Column<LoadedModule>> list{
      {{"process", Type::pointer, "The EPROCESS: the key to join on.", false, true},
       of_module<&LoadedModule::process>},
      {{"pid", Type::integer, "Number of the process."},
       [](const LoadedModule& module, Session& session) {
         return cell(windows_kernel_of(session).processes().id(module.process));
       }},
      {{"virtual_address", Type::pointer,
        "The LDR_DATA_TABLE_ENTRY, in the memory of the process."},
       of_module<&LoadedModule::address>},
      {{"name", Type::text, "BaseDllName; NULL if it cannot be read."},
       of_module<&LoadedModule::name>},
      {{"path", Type::text, "FullDllName; NULL if it cannot be read."},
       of_module<&LoadedModule::path>},
      {{"base_address", Type::pointer, "Where the image begins."}, of_module<&LoadedModule::base>},
      {{"end_address", Type::pointer, "The address behind its last byte."}, end_address},
      {{"size", Type::integer, "Bytes of the image in memory."}, of_module<&LoadedModule::size>},
      {{"entry_point", Type::pointer, "Its first function; 0 if it has none."},
       of_module<&LoadedModule::entry_point>},
      {{"wow64", Type::integer,
        "1 if the 32-bit loader of a 32-bit process lists it; the program itself is listed by "
        "both."},
       of_module<&LoadedModule::is_wow64>},
      {{"timestamp", Type::integer,
        "TimeDateStamp of the file: Unix time in seconds, or a hash; NULL for 32-bit modules."},
       of_module<&LoadedModule::timestamp>},
  };
  return list;
}

Result<Rows<LoadedModule>> open_drivers(Session& session, std::span<const KeyValue>) {
  if (const auto& small = session.image().facts().triage)
    return rows_of(kernel::windows::drivers_of(*small));
  ENGRAM_TRY(auto* kernel, session.windows_kernel());
  ENGRAM_TRY(auto drivers, kernel->modules().drivers());
  return rows_of(std::move(drivers));
}

Result<Rows<LoadedModule>> open_modules(Session& session, std::span<const KeyValue> values) {
  constexpr std::size_t kProcess = 0;
  ENGRAM_TRY(auto processes, windows_processes(session, values, kProcess));
  ENGRAM_CHECK(windows_kernel_of(session).require_whole_memory("process_modules"));
  const auto& modules = windows_kernel_of(session).modules();
  return rows_of_processes<LoadedModule>(
      std::move(processes), [&modules](VirtAddr process) { return modules.of(process); });
}

Result<Rows<UnloadedDriver>> open_unloaded(Session& session, std::span<const KeyValue>) {
  if (const auto& small = session.image().facts().triage)
    return rows_of(kernel::windows::unloaded_drivers_of(*small));
  ENGRAM_TRY(auto* kernel, session.windows_kernel());
  ENGRAM_TRY(auto drivers, kernel->modules().unloaded());
  return rows_of(std::move(drivers));
}

}  // namespace

const Table& drivers_table() {
  static const DataTable<LoadedModule> table(
      "drivers",
      "Windows only: the kernel and its drivers, as PsLoadedModuleList has them: in the order in "
      "which they were loaded.",
      200, driver_columns(), open_drivers);
  return table;
}

const Table& process_modules_table() {
  static const DataTable<LoadedModule> table(
      "process_modules",
      "Windows only: programs and libraries in the memory of processes, as their own loaders list "
      "them.",
      3000, module_columns(), open_modules);
  return table;
}

const Table& unloaded_drivers_table() {
  static const DataTable<UnloadedDriver> table(
      "unloaded_drivers",
      "Windows only: the last 50 drivers that were unloaded (MmUnloadedDrivers).", 50,
      {
          {{"virtual_address", Type::pointer,
            "The entry of the kernel's array; NULL in a small dump."},
           of_unloaded<&UnloadedDriver::address>},
          {{"name", Type::text, "Name of the file; NULL if it cannot be read."},
           of_unloaded<&UnloadedDriver::name>},
          {{"start_address", Type::pointer, "Where the image began."},
           of_unloaded<&UnloadedDriver::start>},
          {{"end_address", Type::pointer, "The address behind it."},
           of_unloaded<&UnloadedDriver::end>},
          {{"unload_time", Type::integer,
            "Unix time in seconds; NULL if it was never set, and in a small dump."},
           [](const UnloadedDriver& driver, Session&) { return unix_time(driver.time); }},
      },
      open_unloaded);
  return table;
}

}  // namespace engram::tables
