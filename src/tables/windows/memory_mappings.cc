// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/areas.h"

#include "tables/windows/process_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::windows::Area;

template <auto member>
Value of_area(const Area& area, Session&) {
  return cell(area.*member);
}

template <auto member>
Value allows(const Area& area, Session&) {
  return cell((area.*member)());
}

Value file_path(const Area& area, Session& session) {
  return cell(windows_kernel_of(session).areas().file_name(area));
}

const std::vector<Column<Area>>& columns() {
  static const std::vector<Column<Area>> list{
      {{"task", Type::pointer, "The EPROCESS.", false, true}, of_area<&Area::process>},
      {{"virtual_address", Type::pointer, "The MMVAD_SHORT."}, of_area<&Area::address>},
      {{"region_start", Type::pointer, "First address."}, of_area<&Area::start>},
      {{"region_end", Type::pointer, "The address behind the last one."}, of_area<&Area::end>},
      {{"readable", Type::integer, "As it was made."}, allows<&Area::is_readable>},
      {{"writable", Type::integer, "As it was made."}, allows<&Area::is_writable>},
      {{"executable", Type::integer, "As it was made."}, allows<&Area::is_executable>},
      {{"shared", Type::integer, "0 for private memory."},
       [](const Area& area, Session&) { return cell(!area.is_private); }},
      {{"file_path", Type::text, "The file's name within its volume."}, file_path},
      {{"name", Type::text, "The same as file_path."}, file_path},
      {{"tgid", Type::integer, "Number of the process."},
       [](const Area& area, Session& session) {
         return cell(windows_kernel_of(session).processes().id(area.process));
       }},
      {{"page_table", Type::pointer, "DirectoryTableBase."},
       [](const Area& area, Session& session) {
         return cell(windows_kernel_of(session).processes().root(area.process));
       }},
      {{"protection", Type::text,
        "Windows: as VirtualQuery() names what the pages were made with: `PAGE_READWRITE` ...; "
        "they "
        "may have other rights by now."},
       [](const Area& area, Session&) {
         return cell(kernel::windows::protection_name(area.protection));
       }},
      {{"area_type", Type::text, "Windows: `none`, `image_map` and other values of MI_VAD_TYPE."},
       [](const Area& area, Session&) { return cell(kernel::windows::area_type_name(area.type)); }},
  };
  return list;
}

Result<Rows<Area>> open(Session& session, std::span<const KeyValue> values) {
  constexpr std::size_t kTask = 0;
  ENGRAM_TRY(auto processes, windows_processes(session, values, kTask));
  ENGRAM_CHECK(windows_kernel_of(session).require_whole_memory("memory_mappings"));
  const auto& areas = windows_kernel_of(session).areas();
  if (!areas.is_known()) {
    return fail(
        "memory_mappings: the layout of VADs is not known of this build of Windows: "
        "--symbols FILE says it");
  }
  return rows_of_processes<Area>(std::move(processes),
                                 [&areas](VirtAddr process) { return areas.of(process); });
}

}  // namespace

const Table& windows_memory_mappings_table() {
  static const DataTable<Area> table("memory_mappings",
                                     "the virtual address descriptors (VAD) of each process.", 5000,
                                     columns(), open);
  return table;
}

}  // namespace engram::tables
