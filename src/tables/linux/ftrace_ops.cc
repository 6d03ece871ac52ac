// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/ftrace.h"

#include "tables/linux/module_rows.h"

namespace engram::tables {
namespace {

using kernel::Ftrace;
using kernel::Session;

const Ftrace& ftrace_of(Session& session) {
  return (*session.linux_kernel())->ftrace();
}

template <auto member>
Value value(const VirtAddr& operations, Session& session) {
  return cell((ftrace_of(session).*member)(operations));
}

template <auto member>
Value symbol(const VirtAddr& operations, Session& session) {
  return symbol_at(session, (ftrace_of(session).*member)(operations));
}

const std::vector<Column<VirtAddr>>& columns() {
  static const std::vector<Column<VirtAddr>> list{
      {{"virtual_address", Type::pointer, "The struct ftrace_ops."},
       [](const VirtAddr& operations, Session&) { return cell(operations); }},
      {{"func", Type::pointer, "Function that is called when a traced one is entered."},
       value<&Ftrace::function>},
      {{"func_addr", Type::pointer, "The same."}, value<&Ftrace::function>},
      {{"flags", Type::integer, "FTRACE_OPS_FL_* bits."}, value<&Ftrace::flags>},
      {{"flag_names", Type::text,
        "Their names in this kernel, blank-separated, without the prefix; NULL if its types lack "
        "them."},
       value<&Ftrace::flag_names>},
      {{"func_symbol", Type::text, "Symbol of the function; NULL if none covers it."},
       symbol<&Ftrace::function>},
      {{"func_module", Type::text, "Module in whose memory the function lies; NULL if in none."},
       [](const VirtAddr& operations, Session& session) {
         return module_name_at(session, ftrace_of(session).function(operations));
       }},
      {{"module_name", Type::text,
        "Module in whose memory the struct itself lies; NULL if in none."},
       [](const VirtAddr& operations, Session& session) {
         return module_name_at(session, operations);
       }},
      {{"filter_count", Type::integer,
        "Functions that it is for; 0: all; NULL if it has no such set: all."},
       value<&Ftrace::filter_count>},
      {{"filter_functions", Type::text,
        "Their names, comma-separated, by address; empty: all; NULL if it has no such set, or "
        "one of more than 4096."},
       value<&Ftrace::filter_names>},
      {{"exclusion_count", Type::integer,
        "Functions that it is not for; NULL if it has no such set."},
       value<&Ftrace::exclusion_count>},
      {{"trampoline", Type::pointer,
        "Code that was made for this operation and calls its function; NULL if there is none."},
       value<&Ftrace::trampoline>},
      {{"trampoline_size", Type::integer, "Bytes of it; NULL if there is none."},
       value<&Ftrace::trampoline_size>},
      {{"direct_call", Type::pointer,
        "Function that is called right from the traced ones; NULL if there is none, or the kernel "
        "does not note it here."},
       value<&Ftrace::direct_call>},
  };
  return list;
}

Result<Rows<VirtAddr>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  ENGRAM_TRY(auto operations, kernel->ftrace().list());
  return rows_of(std::move(operations));
}

}  // namespace

const Table& ftrace_ops_table() {
  static const DataTable<VirtAddr> table(
      "ftrace_ops",
      "Who is called when functions of the kernel are entered: the registered operations of "
      "function tracing, the latest first.",
      10, columns(), open);
  return table;
}

}  // namespace engram::tables
