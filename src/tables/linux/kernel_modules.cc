// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/module_parameter.h"
#include "tables/linux/module_rows.h"

namespace engram::tables {
namespace {

using kernel::Module;
using kernel::Modules;
using kernel::Session;

template <auto member>
Value value(const Module& module, Session& session) {
  return cell((modules_of(session).*member)(module.address));
}

template <bool of_init>
Value size(const Module& module, Session& session) {
  return cell(modules_of(session).size(module.address, of_init));
}

Value parameters(const Module& module, Session& session) {
  const auto text = (*session.linux_kernel())->module_parameters().text(module.address);
  return text && !text->empty() ? cell(*text) : Null{};
}

Value source(const Module& module, Session&) {
  std::string text;
  const auto add = [&](bool is_there, const char* name) {
    if (is_there) text += (text.empty() ? "" : ",") + std::string(name);
  };
  add(module.list_head.has_value(), "list");
  add(module.in_sysfs, "sysfs");
  add(module.in_tree, "tree");
  return text.empty() ? cell("direct") : cell(text);
}

const std::vector<Column<Module>>& columns() {
  static const std::vector<Column<Module>> list{
      {{"virtual_address", Type::pointer,
        "The struct module: the key to join on. Alone it names a module, also one that nothing "
        "leads to any more.",
        false, true},
       [](const Module& module, Session&) { return cell(module.address); }},
      {{"list_head", Type::pointer,
        "Head of the list that it is on; a query that fixes it gets the modules of that list. NULL "
        "if it is on none.",
        true, true},
       [](const Module& module, Session&) { return cell(module.list_head); }},
      {{"name", Type::text, "Name of the module."}, value<&Modules::name>},
      {{"state", Type::text, "`live`, `coming`, `going` or `unformed`; NULL for another number."},
       value<&Modules::state>},
      {{"version", Type::text, "What the module says its version is; NULL if it does not."},
       value<&Modules::version>},
      {{"src_version", Type::text, "Checksum of its source; NULL if there is none."},
       value<&Modules::source_version>},
      {{"taints", Type::integer, "Bits of what is questionable about it (TAINT_*)."},
       value<&Modules::taints>},
      {{"gpl_only_symbols", Type::integer,
        "1 if it uses symbols that are for GPL modules only; NULL on kernels that do not note it."},
       value<&Modules::uses_gpl_only_symbols>},
      {{"parameters", Type::text,
        "name=value (PERMISSIONS), comma-separated, without value if it is not known; NULL if "
        "there are none."},
       parameters},
      {{"taint_letters", Type::text,
        "The same as letters (O: out of tree, E: unsigned ...), as in /proc/modules; empty for "
        "none."},
       value<&Modules::taint_letters>},
      {{"refcount", Type::integer, "Users, as in /proc/modules; -1 while it is being removed."},
       value<&Modules::reference_count>},
      {{"used_by", Type::text,
        "Modules that use its symbols, comma-separated, in the order of /proc/modules; empty for "
        "none."},
       value<&Modules::used_by>},
      {{"base_address", Type::pointer, "Where its code begins, as in /proc/modules."},
       value<&Modules::base>},
      {{"core_size", Type::integer, "Bytes of its code and data."}, size<false>},
      {{"init_size", Type::integer, "Bytes of what is freed after initialisation; 0 since then."},
       size<true>},
      {{"build_id", Type::text,
        "The linker's identification of its file, in hexadecimal digits; NULL if its note cannot "
        "be read."},
       value<&Modules::build_id>},
      {{"source", Type::text,
        "What led to it, comma-separated: `list` (of modules), `sysfs` (/sys/module), `tree` (by "
        "address of code); `direct` if nothing but the query did. One that is live and lacks what "
        "others of the same image have hides; a kernel may be built without sysfs or tree."},
       source},
  };
  return list;
}

Result<Rows<Module>> open(Session& session, std::span<const KeyValue> values) {
  for (const auto& value : values) {
    if (columns()[value.column].info.name != "list_head") continue;
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (number == nullptr) return rows_of(std::vector<Module>());
    ENGRAM_TRY(auto* kernel, session.linux_kernel());
    const VirtAddr head(static_cast<std::uint64_t>(*number));
    ENGRAM_TRY(const auto* all, kernel->modules().all());
    std::vector<Module> found;
    for (const auto& module : *all) {
      if (module.list_head == head) found.push_back(module);
    }
    return rows_of(found.empty() ? kernel->modules().list_from(head) : found);
  }
  ENGRAM_TRY(auto modules, modules_once(session, values, 0));
  return rows_of(std::move(modules));
}

}  // namespace

const Table& kernel_modules_table() {
  static const DataTable<Module> table(
      "kernel_modules",
      "Loaded modules, each once: those of the kernel's list, as /proc/modules has them, and those "
      "that only sysfs or the tree of modules' code leads to.",
      100, columns(), open);
  return table;
}

}  // namespace engram::tables
