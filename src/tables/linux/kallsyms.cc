// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/linux_kernel.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

struct Row {
  const types::SymbolTable* table = nullptr;
  const types::Symbol* symbol = nullptr;
};

Result<Rows<Row>> open(kernel::Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return [kernel, table = &kernel->symbols(),
          at = std::size_t{0}]() mutable -> Result<std::optional<Row>> {
    if (at == table->symbols().size() && table == &kernel->symbols()) {
      table = &kernel->module_symbols();
      at = 0;
    }
    if (at == table->symbols().size()) return std::optional<Row>();
    return Row{table, &table->symbols()[at++]};
  };
}

Value module_name(const Row& row, kernel::Session&) {
  const auto name = row.table->module_name(*row.symbol);
  return name.empty() ? cell(Null{}) : cell(name);
}

}  // namespace

const Table& kallsyms_table() {
  static const DataTable<Row> table(
      "kallsyms",
      "The kernel's symbols in the order of /proc/kallsyms: its own, then those of modules, ftrace "
      "and BPF.",
      200'000,
      {
          {{"symbol_name", Type::text, "Name; several symbols may share one."},
           [](const Row& row, kernel::Session&) { return cell(row.table->name(*row.symbol)); }},
          {{"virtual_address", Type::pointer,
            "Address; small values are per-CPU offsets on older kernels."},
           [](const Row& row, kernel::Session&) { return cell(row.symbol->address); }},
          {{"symbol_type", Type::text,
            "The letter of nm: T text, D data, R read-only ...; lower case if local."},
           [](const Row& row, kernel::Session&) { return cell(std::string(1, row.symbol->type)); }},
          {{"module", Type::text,
            "Module, or `bpf`, `__builtin__ftrace`; NULL for the kernel's own."},
           module_name},
      },
      open);
  return table;
}

}  // namespace engram::tables
