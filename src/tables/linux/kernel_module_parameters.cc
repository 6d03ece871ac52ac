// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "kernel/linux/module_parameter.h"
#include "tables/linux/module_rows.h"

namespace engram::tables {
namespace {

using kernel::ModuleParameters;
using kernel::Session;

struct Parameter {
  VirtAddr address;
  std::optional<VirtAddr> module;  ///< nothing: built into the kernel
};

const ModuleParameters& parameters_of(Session& session) {
  return (*session.linux_kernel())->module_parameters();
}

template <auto member>
Value value(const Parameter& row, Session& session) {
  return cell((parameters_of(session).*member)(row.address));
}

/// param_sysfs_builtin() in kernel/params.c: what has no dot in its name is the kernel's.
Value owner(const Parameter& row, Session& session) {
  if (row.module) return module_name(session, row.module);
  const auto name = parameters_of(session).name(row.address);
  if (!name) return Null{};
  const auto dot = name->find('.');
  return dot == std::string::npos ? cell("kernel") : cell(name->substr(0, dot));
}

Value name(const Parameter& row, Session& session) {
  const auto name = parameters_of(session).name(row.address);
  if (!name || row.module) return cell(name);
  const auto dot = name->find('.');
  return cell(dot == std::string::npos ? *name : name->substr(dot + 1));
}

Value permissions(const Parameter& row, Session& session) {
  const auto bits = parameters_of(session).permissions(row.address);
  return bits ? cell(fmt::format("{:04o}", *bits)) : Null{};
}

const std::vector<Column<Parameter>>& columns() {
  static const std::vector<Column<Parameter>> list{
      {{"kernel_module", Type::pointer,
        "The struct module: virtual_address of kernel_modules; NULL for what is built into the "
        "kernel.",
        false, true},
       [](const Parameter& row, Session&) { return cell(row.module); }},
      {{"module_name", Type::text,
        "Name of the module, or of what is built into the kernel: its directory in /sys/module."},
       owner},
      {{"name", Type::text, "Name of the parameter."}, name},
      {{"type", Type::text,
        "Kind of the value: int, uint, bool, charp, string, array of int ...; NULL if the module "
        "shows it by a function of its own."},
       value<&ModuleParameters::type>},
      {{"value", Type::text,
        "What it is now, as /sys/module/MODULE/parameters/NAME shows it; NULL if the type is not "
        "known, or if the variable was freed after initialisation."},
       value<&ModuleParameters::value>},
      {{"permissions", Type::text, "Of that file, octal; 0000: there is no such file."},
       permissions},
      {{"getter", Type::text,
        "Function that shows the value; NULL if there is none or no symbol covers it."},
       value<&ModuleParameters::getter>},
      {{"virtual_address", Type::pointer, "The struct kernel_param."},
       [](const Parameter& row, Session&) { return cell(row.address); }},
  };
  return list;
}

Result<Rows<Parameter>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  std::vector<kernel::Module> modules;
  // A kernel without modules has parameters of its own.
  if (!values.empty() || kernel->symbols().address_of("modules")) {
    ENGRAM_TRY(modules, modules_once(session, values, 0));
  }
  const auto& parameters = parameters_of(session);
  return
      [&parameters, built_in_follow = values.empty(), modules = std::move(modules),
       next = std::size_t{0}, module = std::optional<VirtAddr>(), found = std::vector<VirtAddr>(),
       at = std::size_t{0}]() mutable -> Result<std::optional<Parameter>> {
        while (at == found.size()) {
          at = 0;
          if (next < modules.size()) {
            module = modules[next++].address;
            found = parameters.of_module(*module).value_or(std::vector<VirtAddr>());
          } else if (std::exchange(built_in_follow, false)) {
            module.reset();
            found = parameters.built_in();
          } else {
            return std::optional<Parameter>();
          }
        }
        return Parameter{found[at++], module};
      };
}

}  // namespace

const Table& kernel_module_parameters_table() {
  static const DataTable<Parameter> table(
      "kernel_module_parameters",
      "Parameters of every module, then those of the kernel itself, with the values that they have "
      "now.",
      400, columns(), open);
  return table;
}

}  // namespace engram::tables
