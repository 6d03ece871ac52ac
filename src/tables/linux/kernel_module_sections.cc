// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/module_rows.h"

namespace engram::tables {
namespace {

using kernel::Session;

struct Section {
  VirtAddr module;
  kernel::ModuleSection section;
};

const std::vector<Column<Section>>& columns() {
  static const std::vector<Column<Section>> list{
      {{"kernel_module", Type::pointer, "The struct module: virtual_address of kernel_modules.",
        false, true},
       [](const Section& row, Session&) { return cell(row.module); }},
      {{"module_name", Type::text, "Name of the module."},
       [](const Section& row, Session& session) { return module_name(session, row.module); }},
      {{"name", Type::text, "Name of the section: .text, .init.text ..."},
       [](const Section& row, Session&) { return cell(row.section.name); }},
      {{"address", Type::pointer,
        "Where it was loaded. Those for initialisation have been freed since, and what lies there "
        "may belong to another module."},
       [](const Section& row, Session&) { return cell(row.section.address); }},
  };
  return list;
}

Result<Rows<Section>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto modules, modules_once(session, values, 0));
  const auto& all = modules_of(session);
  return [&all, modules = std::move(modules), next = std::size_t{0},
          found = std::vector<kernel::ModuleSection>(),
          at = std::size_t{0}]() mutable -> Result<std::optional<Section>> {
    while (at == found.size()) {
      if (next == modules.size()) return std::optional<Section>();
      found = all.sections(modules[next++].address);
      at = 0;
    }
    return Section{modules[next - 1].address, std::move(found[at++])};
  };
}

}  // namespace

const Table& kernel_module_sections_table() {
  static const DataTable<Section> table(
      "kernel_module_sections",
      "The sections of every module's file and where they were loaded, as in "
      "/sys/module/NAME/sections.",
      1500, columns(), open);
  return table;
}

}  // namespace engram::tables
