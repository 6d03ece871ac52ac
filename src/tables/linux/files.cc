// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/file_table.h"
#include "kernel/linux/inode.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/page_cache.h"
#include "tables/linux/file_columns.h"

namespace engram::tables {
namespace {

using kernel::CachedFile;
using kernel::FileTime;
using kernel::Inodes;
using kernel::Session;

struct File {
  VirtAddr inode;
  /// What is cached of it, once a column has asked: walking the pages is most of a row's work.
  mutable std::optional<std::optional<CachedFile>> cached;
};

template <auto member>
Value of_inode(const File& file, Session& session) {
  return cell(((*session.linux_kernel())->inodes().*member)(file.inode));
}

template <auto member, auto part>
Value time(const File& file, Session& session) {
  const auto time = ((*session.linux_kernel())->inodes().*member)(file.inode);
  return time ? cell((*time).*part) : Null{};
}

template <auto member>
Value device(const File& file, Session& session) {
  return device_number(((*session.linux_kernel())->inodes().*member)(file.inode));
}

Value type(const File& file, Session& session) {
  return file_type((*session.linux_kernel())->inodes().mode(file.inode));
}

const std::optional<CachedFile>& cached(const File& file, Session& session) {
  if (!file.cached) file.cached = (*session.linux_kernel())->page_cache().file(file.inode);
  return *file.cached;
}

Value bytes_cached(const File& file, Session& session) {
  const auto& found = cached(file, session);
  return found ? cell(found->bytes_in(kernel::FileRangeState::cached)) : Null{};
}

template <auto count>
Value pages(const File& file, Session& session) {
  const auto& found = cached(file, session);
  return found ? cell((*found).*count) : Null{};
}

Value is_complete(const File& file, Session& session) {
  const auto& found = cached(file, session);
  return found ? cell(found->is_whole()) : Null{};
}

const std::vector<Column<File>>& columns() {
  static const std::vector<Column<File>> list{
      {{"virtual_address", Type::pointer,
        "The struct inode: inode_address of other tables, and the argument of file_contents().",
        false, true},
       [](const File& file, Session&) { return cell(file.inode); }},
      {{"path", Type::text,
        "A path of the file, with mount prefix and ` (deleted)`, as in task_open_files; of a file "
        "system that is mounted nowhere, the path in it. NULL if the kernel keeps no name of the "
        "file in memory."},
       of_inode<&Inodes::path>},
      {{"inode", Type::integer, "Number of the inode."}, of_inode<&Inodes::number>},
      {{"device", Type::text, "MAJOR:MINOR of the file system, as in mountinfo."},
       device<&Inodes::device>},
      {{"file_system", Type::text, "Type of the file system: ext4, tmpfs, bdev ..."},
       of_inode<&Inodes::file_system>},
      {{"type", Type::text,
        "`regular`, `directory`, `character`, `block`, `fifo`, `socket`, `symlink`, or `anonymous` "
        "for files without a type."},
       type},
      {{"mode", Type::integer, "Type and permissions, as st_mode of stat(2)."},
       of_inode<&Inodes::mode>},
      {{"uid", Type::integer, "User who owns the file."}, of_inode<&Inodes::uid>},
      {{"gid", Type::integer, "Group that owns the file."}, of_inode<&Inodes::gid>},
      {{"links", Type::integer, "Hard links to the file: 0 if it was deleted."},
       of_inode<&Inodes::links>},
      {{"size", Type::integer, "Size of the file in bytes."}, of_inode<&Inodes::size>},
      {{"blocks", Type::integer,
        "What the file takes up, in units of 512 bytes, as the inode has it: without what is "
        "written but not yet allocated."},
       of_inode<&Inodes::blocks>},
      {{"atime", Type::integer, "When it was last read: Unix time in seconds."},
       time<&Inodes::accessed, &FileTime::seconds>},
      {{"mtime", Type::integer, "When its content was last changed: Unix time in seconds."},
       time<&Inodes::modified, &FileTime::seconds>},
      {{"ctime", Type::integer, "When the inode was last changed: Unix time in seconds."},
       time<&Inodes::changed, &FileTime::seconds>},
      {{"atime_ns", Type::integer, "atime in nanoseconds."},
       time<&Inodes::accessed, &FileTime::nanoseconds>},
      {{"mtime_ns", Type::integer, "mtime in nanoseconds."},
       time<&Inodes::modified, &FileTime::nanoseconds>},
      {{"ctime_ns", Type::integer, "ctime in nanoseconds."},
       time<&Inodes::changed, &FileTime::nanoseconds>},
      {{"bytes_cached", Type::integer,
        "Bytes of the file that are in the page cache and in the image. NULL if its pages cannot "
        "be found."},
       bytes_cached},
      {{"complete", Type::integer,
        "1 if file_contents() gives the whole file: all of it is cached, or known to be a hole. "
        "NULL as for bytes_cached."},
       is_complete},
      {{"pages_cached", Type::integer,
        "Pages of 4096 bytes in the page cache. NULL as for bytes_cached."},
       pages<&CachedFile::pages>},
      {{"pages_dirty", Type::integer,
        "Pages of them that were changed and not yet written back; those of file systems that are "
        "in memory always are. NULL as for bytes_cached."},
       pages<&CachedFile::dirty>},
      {{"deleted", Type::integer,
        "1 if it was deleted, or never had a name in a directory, as a memfd. NULL if that is not "
        "known."},
       of_inode<&Inodes::is_deleted>},
      {{"names", Type::integer, "Names of the file that the kernel keeps in memory (dentries)."},
       of_inode<&Inodes::names>},
      {{"descriptors", Type::integer, "Descriptors in task_open_files that have it open."},
       [](const File& file, Session& session) {
         return cell((*session.linux_kernel())->file_tables().with_inode(file.inode).size());
       }},
      {{"mapped", Type::integer, "1 if it is mapped into a process."},
       [](const File& file, Session& session) {
         return cell((*session.linux_kernel())->page_cache().is_mapped(file.inode));
       }},
      {{"special_device", Type::text,
        "MAJOR:MINOR that a device file stands for; NULL for other files."},
       device<&Inodes::special_device>},
      {{"super_block", Type::pointer, "The struct super_block: super_block of mounts."},
       of_inode<&Inodes::super_block>},
      {{"dentry", Type::pointer, "The struct dentry that path comes from. NULL as for path."},
       of_inode<&Inodes::dentry>},
      {{"mapping", Type::pointer,
        "The struct address_space with its pages: of a device file, that of the device."},
       [](const File& file, Session& session) {
         return cell((*session.linux_kernel())->page_cache().mapping(file.inode));
       }},
  };
  return list;
}

Result<Rows<File>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto inodes, inodes_of(session, values, 0));
  return
      [inodes = std::move(inodes), at = std::size_t{0}]() mutable -> Result<std::optional<File>> {
        if (at == inodes.size()) return std::optional<File>();
        return std::optional(File{inodes[at++], {}});
      };
}

}  // namespace

const Table& files_table() {
  static const DataTable<File> table(
      "files",
      "The files that the kernel has in memory, open or not, once for each inode: of every file "
      "system, those that the kernel uses itself among them. Pipes and sockets are in "
      "task_open_files and sockets only.",
      5000, columns(), open);
  return table;
}

}  // namespace engram::tables
