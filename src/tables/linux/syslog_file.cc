// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/file_table.h"
#include "kernel/linux/inode.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/syslog.h"
#include "tables/linux/file_columns.h"

namespace engram::tables {
namespace {

using kernel::LogLine;
using kernel::Session;

struct Log {
  VirtAddr inode;
  std::string path;
  std::optional<kernel::Descriptor> descriptor;  ///< the first that has it open
};

struct Row {
  std::shared_ptr<const Log> log;
  LogLine line;
};

/// The process that has the log open: the first that uses the table with the descriptor.
const kernel::FileTable::User* user(const Row& row, Session& session) {
  if (!row.log->descriptor) return nullptr;
  const auto* table = (*session.linux_kernel())->file_tables().find(row.log->descriptor->table);
  return table == nullptr ? nullptr : &table->users.front();
}

Value task(const Row& row, Session& session) {
  const auto* found = user(row, session);
  return found == nullptr ? Null{} : cell(found->task);
}

Value tgid(const Row& row, Session& session) {
  const auto* found = user(row, session);
  return found == nullptr ? Null{} : cell(found->tgid);
}

/// Without its beginning a line says no more than its end.
kernel::SyslogFields fields(const Row& row) {
  if (row.line.has_start) return kernel::split_syslog_line(row.line.text);
  kernel::SyslogFields rest;
  rest.message = row.line.text;
  return rest;
}

template <auto field>
Value part(const Row& row, Session&) {
  return cell(fields(row).*field);
}

const std::vector<Column<Row>>& columns() {
  using kernel::SyslogFields;
  static const std::vector<Column<Row>> list{
      {{"file_virtual_address", Type::pointer,
        "The open struct file of the log; NULL if nobody has it open."},
       [](const Row& row, Session&) {
         return row.log->descriptor ? cell(row.log->descriptor->file) : Value{Null{}};
       }},
      {{"task_virtual_address", Type::pointer,
        "The task_struct of a process that has it open; NULL if nobody has."},
       task},
      {{"tgid", Type::integer, "Number of that process; NULL if there is none."}, tgid},
      {{"data_source", Type::text, "`page_cache`."},
       [](const Row&, Session&) { return cell("page_cache"); }},
      {{"region_start", Type::integer,
        "First byte in the file of the run of cached bytes that the line is in."},
       [](const Row& row, Session&) { return cell(row.line.region_start); }},
      {{"region_end", Type::integer, "The byte behind the last one of that run."},
       [](const Row& row, Session&) { return cell(row.line.region_end); }},
      {{"timestamp", Type::text,
        "`2026-01-20T23:59:00.000599+00:00` (RFC 3339) or `Jan  2 03:04:05` (RFC 3164), as it is "
        "in the line; NULL if the line begins with neither, or its beginning is not cached."},
       part<&SyslogFields::timestamp>},
      {{"hostname", Type::text, "NULL if the line has none, or no timestamp."},
       part<&SyslogFields::hostname>},
      {{"process", Type::text,
        "What stands before the first colon: `sshd[2000]`; NULL if the line has none, or no "
        "timestamp."},
       part<&SyslogFields::process>},
      {{"message", Type::text, "The rest of the line; without a timestamp all of it."},
       part<&SyslogFields::message>},
      {{"path", Type::text, "Path of the log."},
       [](const Row& row, Session&) { return cell(row.log->path); }},
      {{"offset", Type::integer, "Of the line in the file, in bytes."},
       [](const Row& row, Session&) { return cell(row.line.start); }},
      {{"complete", Type::integer,
        "0 if the beginning or the end of the line is not in the page cache."},
       [](const Row& row, Session&) { return cell(row.line.has_start && row.line.has_end); }},
      {{"inode_address", Type::pointer, "The log's struct inode: virtual_address of files."},
       [](const Row& row, Session&) { return cell(row.log->inode); }},
  };
  return list;
}

bool is_log(std::string_view path) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return path == "/var/log/syslog" || path == "/var/log/messages";
}

/// The logs of all machines and containers whose file systems are mounted.
std::vector<std::shared_ptr<const Log>> find_logs(kernel::LinuxKernel& kernel) {
  std::vector<std::shared_ptr<const Log>> logs;
  const auto& inodes = kernel.inodes();
  for (const auto inode : inodes.all()) {
    constexpr std::uint16_t kTypeMask = 0170000, kRegular = 0100000;  // S_IFMT, S_IFREG
    if ((inodes.mode(inode).value_or(0) & kTypeMask) != kRegular) continue;
    auto path = inodes.path(inode);
    if (!path || !is_log(*path)) continue;
    const auto open = kernel.file_tables().with_inode(inode);
    logs.push_back(std::make_shared<const Log>(
        Log{inode, std::move(*path), open.empty() ? std::nullopt : std::optional(open.front())}));
  }
  return logs;
}

Result<Rows<Row>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_CHECK(inodes_of(session, {}, 0));  // an empty table is no answer
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return [kernel, logs = find_logs(*kernel), next = std::size_t{0}, lines = std::vector<LogLine>(),
          at = std::size_t{0}]() mutable -> Result<std::optional<Row>> {
    while (at == lines.size()) {
      if (next == logs.size()) return std::optional<Row>();
      lines = kernel::read_log(*kernel, logs[next++]->inode);
      at = 0;
    }
    return Row{logs[next - 1], std::move(lines[at++])};
  };
}

}  // namespace

const Table& syslog_file_table() {
  static const DataTable<Row> table(
      "syslog_file",
      "The lines of /var/log/syslog and /var/log/messages that are in the page cache, each once, "
      "open or not.",
      1000, columns(), open);
  return table;
}

}  // namespace engram::tables
