// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <array>

#include "kernel/linux/kernel_log.h"
#include "kernel/linux/linux_kernel.h"
#include "tables/linux/names.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using kernel::LogInfo;
using kernel::LogRecord;
using kernel::Session;

// As dmesg -x prints them (util-linux); the kernel has three bits for the level.
constexpr std::array<std::string_view, 8> kLevels{"emerg", "alert",  "crit", "err",
                                                  "warn",  "notice", "info", "debug"};
constexpr std::array<std::string_view, 24> kFacilities{
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "res0",   "res1",   "res2",   "res3",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};

/// enum printk_info_flags, include/linux/printk.h and kernel/printk/printk_ringbuffer.h.
constexpr Name kFlags[] = {{1, "force_con"}, {2, "newline"}, {8, "cont"}};

/// A column of the info; NULL if the info cannot be read.
template <class Get>
auto of_info(Get get) {
  return [get](const LogRecord& row, Session&) {
    return row.info ? cell(get(*row.info)) : Value{Null{}};
  };
}

template <std::size_t count>
std::optional<std::string_view> name_of(const std::array<std::string_view, count>& names,
                                        std::uint32_t number) {
  if (number >= count) return std::nullopt;
  return names[number];
}

std::optional<std::string> not_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

std::optional<std::uint32_t> caller_id(const LogInfo& info) {
  return info.caller_id == 0 ? std::nullopt : std::optional(info.caller_id);
}

// print_caller() in kernel/printk/printk.c.
std::optional<std::string> caller(const LogInfo& info) {
  if (info.caller_id == 0) return std::nullopt;
  const bool is_cpu = (info.caller_id & LogInfo::kCallerIsCpu) != 0;
  return fmt::format("{}{}", is_cpu ? 'C' : 'T', info.caller_id & ~LogInfo::kCallerIsCpu);
}

std::string flags(const LogInfo& info) {
  return names_of_bits(kFlags, info.flags);
}

const std::vector<Column<LogRecord>>& columns() {
  using Info = const LogInfo&;
  static const std::vector<Column<LogRecord>> list{
      {{"sequence", Type::integer, "Number of the record, counted from the kernel's start."},
       of_info([](Info info) { return info.sequence; })},
      {{"timestamp_ns", Type::integer,
        "Nanoseconds of the kernel's local clock, which begins near its start."},
       of_info([](Info info) { return info.timestamp; })},
      {{"level", Type::integer, "0 (emergency) to 7 (debug)."},
       of_info([](Info info) { return info.level; })},
      {{"level_name", Type::text, "The level as dmesg prints it."},
       of_info([](Info info) { return name_of(kLevels, info.level); })},
      {{"facility", Type::integer, "As of syslog(3): 0 is the kernel itself, 1 a user's process."},
       of_info([](Info info) { return info.facility; })},
      {{"facility_name", Type::text, "The facility as dmesg prints it; NULL above 23."},
       of_info([](Info info) { return name_of(kFacilities, info.facility); })},
      {{"caller_id", Type::integer,
        "The thread that logged, or with bit 31 the processor; NULL if the kernel does not note "
        "it, and for thread 0."},
       of_info(caller_id)},
      {{"caller", Type::text,
        "The same as the kernel prints it: T and the thread, or C and the processor; NULL alike."},
       of_info(caller)},
      {{"message", Type::text,
        "The text; NULL if the kernel had no room for it, or it cannot be read."},
       [](const LogRecord& row, Session&) { return cell(row.message); }},
      {{"data_source", Type::text, "Where the record comes from: always printk_ringbuffer."},
       [](const LogRecord&, Session&) { return cell("printk_ringbuffer"); }},
      {{"subsystem", Type::text, "Of the device that the message is about; NULL if about none."},
       of_info([](Info info) { return not_empty(info.subsystem); })},
      {{"device", Type::text,
        "That device: b8:0 (block), c1:3 (character), n2 (network), +bus:name; NULL if none."},
       of_info([](Info info) { return not_empty(info.device); })},
      {{"flags", Type::text,
        "Comma-separated: newline (the line is complete), cont (it goes on an earlier one), "
        "force_con; others as a number."},
       of_info(flags)},
      {{"state", Type::text, "finalized; or committed, if more may be added to the line."},
       [](const LogRecord& row, Session&) {
         return cell(row.state == LogRecord::State::committed ? "committed" : "finalized");
       }},
      {{"pid", Type::integer,
        "Thread that ran when it was logged; NULL if the kernel does not note it (before 6.19)."},
       of_info([](Info info) { return info.pid; })},
      {{"comm", Type::text, "Name of that thread; NULL alike."},
       of_info([](Info info) { return info.comm; })},
      {{"cpu", Type::integer, "Processor that logged; NULL alike."},
       of_info([](Info info) { return info.cpu; })},
      {{"virtual_address", Type::pointer, "The struct printk_info."},
       [](const LogRecord& row, Session&) { return cell(row.info_address); }},
  };
  return list;
}

Result<Rows<LogRecord>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  ENGRAM_TRY(auto walk, kernel->kernel_log().walk());
  return [walk]() mutable -> Result<std::optional<LogRecord>> { return walk.next(); };
}

}  // namespace

const Table& dmesg_table() {
  static const DataTable<LogRecord> table(
      "dmesg", "The kernel's log: each record that its ring buffer still has, oldest first.", 1000,
      columns(), open);
  return table;
}

}  // namespace engram::tables
