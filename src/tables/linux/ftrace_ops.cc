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

/// An operation, and the walk that came to it.
struct Operations {
  VirtAddr address;
  VirtAddr first;               ///< of the walk
  std::optional<VirtAddr> end;  ///< at which the query ends it
};

template <auto member>
Value value(const Operations& row, Session& session) {
  return cell((ftrace_of(session).*member)(row.address));
}

template <auto member>
Value symbol(const Operations& row, Session& session) {
  return symbol_at(session, (ftrace_of(session).*member)(row.address));
}

const std::vector<Column<Operations>>& columns() {
  static const std::vector<Column<Operations>> list{
      {{"virtual_address", Type::pointer, "The struct ftrace_ops."},
       [](const Operations& row, Session&) { return cell(row.address); }},
      {{"start_vaddr", Type::pointer,
        "First operation of the walk: a query that fixes it walks from there.", true, true},
       [](const Operations& row, Session&) { return cell(row.first); }},
      {{"end_vaddr", Type::pointer,
        "Operation at which a query that fixes it, along with start_vaddr, ends the walk; else "
        "NULL.",
        true, true},
       [](const Operations& row, Session&) { return cell(row.end); }},
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
       [](const Operations& row, Session& session) {
         return module_name_at(session, ftrace_of(session).function(row.address));
       }},
      {{"module_name", Type::text,
        "Module in whose memory the struct itself lies; NULL if in none."},
       [](const Operations& row, Session& session) {
         return module_name_at(session, row.address);
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

Result<Rows<Operations>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  std::optional<VirtAddr> first, end;
  for (const auto& value : values) {
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (number == nullptr) return rows_of(std::vector<Operations>());
    const bool is_first = columns()[value.column].info.name == "start_vaddr";
    (is_first ? first : end) = VirtAddr(static_cast<std::uint64_t>(*number));
  }
  if (end && !first) return fail("ftrace_ops: end_vaddr goes with start_vaddr");
  const Ftrace& ftrace = kernel->ftrace();
  ENGRAM_TRY(const auto found, first ? ftrace.list_from(*first, end) : ftrace.list());
  std::vector<Operations> rows;
  for (const auto operations : found) rows.push_back({operations, found.front(), end});
  return rows_of(std::move(rows));
}

}  // namespace

const Table& ftrace_ops_table() {
  static const DataTable<Operations> table(
      "ftrace_ops",
      "Who is called when functions of the kernel are entered: the registered operations of "
      "function tracing, the latest first.",
      10, columns(), open);
  return table;
}

}  // namespace engram::tables
