// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kprobe.h"

#include "tables/linux/module_rows.h"

namespace engram::tables {
namespace {

using kernel::Kprobe;
using kernel::Kprobes;
using kernel::Session;

// KPROBE_FLAG_*, include/linux/kprobes.h
constexpr std::uint32_t kGone = 1, kDisabled = 2, kOptimized = 4, kFtrace = 8;

const Kprobes& kprobes_of(Session& session) {
  return (*session.linux_kernel())->kprobes();
}

template <auto member>
Value value(const Kprobe& probe, Session& session) {
  return cell((kprobes_of(session).*member)(probe.address));
}

template <auto member>
Value symbol(const Kprobe& probe, Session& session) {
  return symbol_at(session, (kprobes_of(session).*member)(probe.address));
}

Value type(const Kprobe& probe, Session& session) {
  const auto is_return_probe = kprobes_of(session).is_return_probe(probe.address);
  if (!is_return_probe) return Null{};
  return cell(*is_return_probe ? "kretprobe" : "kprobe");
}

/// report_probe() in kernel/kprobes.c: how a probe is set is noted in the one that stands for it.
template <std::uint32_t bit, bool of_aggregate>
Value flag(const Kprobe& probe, Session& session) {
  const auto which = of_aggregate ? probe.aggregate.value_or(probe.address) : probe.address;
  const auto flags = kprobes_of(session).flags(which);
  return flags ? cell((*flags & bit) != 0) : Null{};
}

const std::vector<Column<Kprobe>>& columns() {
  static const std::vector<Column<Kprobe>> list{
      {{"virtual_address", Type::pointer, "The struct kprobe."},
       [](const Kprobe& probe, Session&) { return cell(probe.address); }},
      {{"type", Type::text, "`kprobe`, or `kretprobe` for one that looks at a function's return."},
       type},
      {{"address", Type::pointer, "Where the probe is."}, value<&Kprobes::place>},
      {{"symbol", Type::text, "The same as name+0x10 [module]; NULL if no symbol covers it."},
       symbol<&Kprobes::place>},
      {{"symbol_name", Type::text,
        "The symbol that it was registered with; NULL if it was with an address."},
       value<&Kprobes::symbol_name>},
      {{"offset", Type::integer, "Bytes behind that symbol, as it was registered."},
       value<&Kprobes::offset>},
      {{"flags", Type::integer, "KPROBE_FLAG_* bits."}, value<&Kprobes::flags>},
      {{"disabled", Type::integer, "1 if it does nothing for now."}, flag<kDisabled, false>},
      {{"optimized", Type::integer, "1 if a jump was set instead of a breakpoint."},
       flag<kOptimized, true>},
      {{"ftrace", Type::integer,
        "1 if it is called by function tracing, from the place at a function's beginning."},
       flag<kFtrace, true>},
      {{"gone", Type::integer, "1 if the code that it was in has been removed."},
       flag<kGone, false>},
      {{"pre_handler", Type::pointer, "Called before the instruction; NULL for none."},
       value<&Kprobes::pre_handler>},
      {{"pre_handler_symbol", Type::text, "Its symbol; NULL if none covers it."},
       symbol<&Kprobes::pre_handler>},
      {{"post_handler", Type::pointer, "Called behind the instruction; NULL for none."},
       value<&Kprobes::post_handler>},
      {{"post_handler_symbol", Type::text, "Its symbol; NULL if none covers it."},
       symbol<&Kprobes::post_handler>},
      {{"return_handler", Type::pointer, "Called when the function returns; NULL for a kprobe."},
       value<&Kprobes::return_handler>},
      {{"return_handler_symbol", Type::text, "Its symbol; NULL if none covers it."},
       symbol<&Kprobes::return_handler>},
      {{"missed", Type::integer, "How often it was passed over because another probe was at work."},
       value<&Kprobes::missed>},
      {{"aggregate", Type::pointer,
        "The struct kprobe that stands for this one and others at the same place, or whose jump it "
        "is; NULL if it is set itself."},
       [](const Kprobe& probe, Session&) { return cell(probe.aggregate); }},
  };
  return list;
}

Result<Rows<Kprobe>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  ENGRAM_TRY(auto probes, kernel->kprobes().list());
  return rows_of(std::move(probes));
}

}  // namespace

const Table& kprobes_table() {
  static const DataTable<Kprobe> table(
      "kprobes",
      "Probes in the kernel's code, as /sys/kernel/debug/kprobes/list has them, with the functions "
      "that they call.",
      10, columns(), open);
  return table;
}

}  // namespace engram::tables
