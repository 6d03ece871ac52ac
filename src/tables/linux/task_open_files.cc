// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernel/linux/file_table.h"
#include "kernel/linux/linux_kernel.h"
#include "tables/linux/file_columns.h"

namespace engram::tables {
namespace {

using kernel::FileTable;
using kernel::FileTables;
using kernel::Session;

/// A descriptor and the table that it is in.
struct OpenFile {
  const FileTable* table;
  kernel::Descriptor descriptor;
};

const FileTables& file_tables_of(Session& session) {
  return (*session.linux_kernel())->file_tables();
}

Value path(const OpenFile& open, Session& session) {
  return cell((*session.linux_kernel())->paths().of_file(open.descriptor.file));
}

template <auto fact>
Value fact_of(const OpenFile& open, Session& session) {
  return cell(file_tables_of(session).facts(open.descriptor.file).*fact);
}

template <auto fact>
Value device(const OpenFile& open, Session& session) {
  return device_number(file_tables_of(session).facts(open.descriptor.file).*fact);
}

Value type(const OpenFile& open, Session& session) {
  return file_type(file_tables_of(session).facts(open.descriptor.file).mode);
}

template <auto member>
Value of_file(const OpenFile& open, Session& session) {
  return cell((file_tables_of(session).*member)(open.descriptor.file));
}

const std::vector<Column<OpenFile>>& columns() {
  using kernel::FileFacts;
  static const std::vector<Column<OpenFile>> list{
      {{"task", Type::pointer,
        "The task_struct that owns the file table: the first thread of a process that uses it.",
        false, true},
       [](const OpenFile& open, Session&) { return cell(open.table->users.front().task); }},
      {{"tgid", Type::integer, "Number of its process.", false, true},
       [](const OpenFile& open, Session&) { return cell(open.table->users.front().tgid); }},
      {{"fd", Type::integer, "Number of the descriptor."},
       [](const OpenFile& open, Session&) { return cell(open.descriptor.number); }},
      {{"virtual_address", Type::pointer,
        "The open struct file, which several descriptors may share."},
       [](const OpenFile& open, Session&) { return cell(open.descriptor.file); }},
      {{"path", Type::text,
        "As /proc/PID/fd shows it, with mount prefix and ` (deleted)`; pipe:[N], socket:[N], "
        "anon_inode:NAME and their like for files without a path."},
       path},
      {{"inode", Type::integer, "Number of the inode."}, fact_of<&FileFacts::inode>},
      {{"type", Type::text,
        "`regular`, `directory`, `character`, `block`, `fifo`, `socket`, `symlink`, or `anonymous` "
        "for files without a type."},
       type},
      {{"mode", Type::integer, "Type and permissions, as st_mode of stat(2)."},
       fact_of<&FileFacts::mode>},
      {{"flags", Type::integer, "O_* bits, O_CLOEXEC among them, as /proc/PID/fdinfo shows them."},
       [](const OpenFile& open, Session& session) {
         return cell(file_tables_of(session).flags(open.descriptor));
       }},
      {{"position", Type::integer, "Where the next read or write begins, in bytes."},
       of_file<&FileTables::position>},
      {{"size", Type::integer, "Size of the file in bytes."}, fact_of<&FileFacts::size>},
      {{"uid", Type::integer, "User who owns the file."}, fact_of<&FileFacts::uid>},
      {{"device", Type::text, "MAJOR:MINOR of the file system, as in mountinfo."},
       device<&FileFacts::device>},
      {{"special_device", Type::text,
        "MAJOR:MINOR that a device file stands for; NULL for other files."},
       device<&FileFacts::special>},
      {{"mount_id", Type::integer, "Number of the mount, as in mountinfo."},
       of_file<&FileTables::mount_id>},
      {{"file_table", Type::pointer,
        "The files_struct that has the descriptor: file_table of each task that uses it.", false,
        true},
       [](const OpenFile& open, Session&) { return cell(open.table->address); }},
      {{"inode_address", Type::pointer, "The struct inode: virtual_address of files."},
       of_file<&FileTables::inode>},
      {{"cached_inode", Type::pointer,
        "The struct inode whose page cache has the file's pages: inode_address, but of a file on "
        "an overlay that of the file below, of a block device the device's. NULL if there is "
        "none."},
       of_file<&FileTables::cached_inode>},
  };
  return list;
}

/// Whether the table is the one that a key names.
bool has_value(const FileTable& table, const KeyValue& key) {
  const auto* number = std::get_if<std::int64_t>(&key.value);
  if (number == nullptr) return false;
  const auto& owner = table.users.front();
  const auto name = columns()[key.column].info.name;
  if (name == "tgid") return owner.tgid == *number;
  return (name == "task" ? owner.task : table.address).value == static_cast<std::uint64_t>(*number);
}

Result<Rows<OpenFile>> open(Session& session, std::span<const KeyValue> keys) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  ENGRAM_CHECK(kernel->tasks().check());
  const auto& tables = kernel->file_tables();
  std::vector<const FileTable*> wanted;
  for (const auto& table : tables.all()) {
    const auto fits = [&](const KeyValue& key) { return has_value(table, key); };
    if (std::all_of(keys.begin(), keys.end(), fits)) wanted.push_back(&table);
  }
  return [&tables, wanted = std::move(wanted), table = std::size_t{0},
          at = std::size_t{0}]() mutable -> Result<std::optional<OpenFile>> {
    for (; table < wanted.size(); ++table, at = 0) {
      const auto descriptors = tables.descriptors(*wanted[table]);
      if (at < descriptors.size()) return OpenFile{wanted[table], descriptors[at++]};
    }
    return std::optional<OpenFile>();
  };
}

}  // namespace

const Table& task_open_files_table() {
  static const DataTable<OpenFile> table(
      "task_open_files",
      "Every open descriptor, once for each file table, with the task that owns the table. The "
      "threads of a process, and processes that were made so, share a table: join tasks on "
      "file_table for all users.",
      1000, columns(), open);
  return table;
}

}  // namespace engram::tables
