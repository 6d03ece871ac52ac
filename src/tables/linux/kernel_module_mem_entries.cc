// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/module_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;

struct Entry {
  VirtAddr module;
  kernel::ModuleArea area;
};

const std::vector<Column<Entry>>& columns() {
  static const std::vector<Column<Entry>> list{
      {{"kernel_module", Type::pointer, "The struct module: virtual_address of kernel_modules.",
        false, true},
       [](const Entry& row, Session&) { return cell(row.module); }},
      {{"mem_type", Type::text,
        "`text`, `data`, `rodata`, `ro_after_init`, `init_text`, `init_data` or `init_rodata`."},
       [](const Entry& row, Session&) { return cell(row.area.type); }},
      {{"start", Type::pointer, "First address."},
       [](const Entry& row, Session&) { return cell(row.area.start); }},
      {{"end", Type::pointer, "The address behind the last one."},
       [](const Entry& row, Session&) { return cell(row.area.end()); }},
      {{"size", Type::integer, "Bytes."},
       [](const Entry& row, Session&) { return cell(row.area.size); }},
      {{"module_name", Type::text, "Name of the module."},
       [](const Entry& row, Session& session) { return module_name(session, row.module); }},
  };
  return list;
}

Result<Rows<Entry>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(const auto modules, modules_once(session, values, 0));
  std::vector<Entry> entries;
  for (const auto& module : modules) {
    for (auto& area : modules_of(session).memory().parts(module.address)) {
      entries.push_back({module.address, std::move(area)});
    }
  }
  return rows_of(std::move(entries));
}

}  // namespace

const Table& kernel_module_mem_entries_table() {
  static const DataTable<Entry> table(
      "kernel_module_mem_entries",
      "The memory of every module by what it holds, on kernels before 6.4, too; what is not in use "
      "is left out.",
      300, columns(), open);
  return table;
}

}  // namespace engram::tables
