// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/mount.h"
#include "kernel/linux/namespaces.h"
#include "tables/linux/file_columns.h"

namespace engram::tables {
namespace {

using kernel::Mount;
using kernel::Mounts;
using kernel::Session;

template <auto member>
Value value(const Mount& mount, Session& session) {
  return cell(((*session.linux_kernel())->mounts().*member)(mount.address));
}

Value name_space(const Mount& mount, Session& session) {
  const auto& namespaces = (*session.linux_kernel())->namespaces();
  return cell(namespaces.inode(mount.name_space, kernel::NamespaceKind::mount));
}

Value device(const Mount& mount, Session& session) {
  return device_number((*session.linux_kernel())->mounts().device(mount.address));
}

const std::vector<Column<Mount>>& columns() {
  static const std::vector<Column<Mount>> list{
      {{"virtual_address", Type::pointer, "The struct mount."},
       [](const Mount& mount, Session&) { return cell(mount.address); }},
      {{"namespace", Type::integer,
        "Inode number of the mount namespace: mnt_namespace of the tasks in it."},
       name_space},
      {{"mount_id", Type::integer, "Number of the mount: mount_id of task_open_files."},
       value<&Mounts::id>},
      {{"parent_id", Type::integer,
        "Number of the mount that it is mounted on; its own for the root of the tree."},
       value<&Mounts::parent_id>},
      {{"device", Type::text, "MAJOR:MINOR of the file system."}, device},
      {{"root", Type::text, "What of the file system is mounted: a path in it, `/` for all."},
       value<&Mounts::root>},
      {{"mount_point", Type::text, "Path from the root of the mount tree."},
       value<&Mounts::mount_point>},
      {{"options", Type::text, "Options of the mount: rw,nosuid ..."}, value<&Mounts::options>},
      {{"propagation", Type::text,
        "shared:N, master:N, unbindable, blank-separated; empty for a private mount."},
       value<&Mounts::propagation>},
      {{"type", Type::text, "Type of the file system."}, value<&Mounts::type>},
      {{"source", Type::text, "What was mounted: a device, or whatever the caller said."},
       value<&Mounts::source>},
      {{"super_options", Type::text,
        "Options of the file system that all types have: ro or rw, sync, dirsync, mand, lazytime."},
       value<&Mounts::super_options>},
      {{"super_block", Type::pointer, "The struct super_block."}, value<&Mounts::super_block>},
  };
  return list;
}

Result<Rows<Mount>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  ENGRAM_CHECK(kernel->tasks().check());
  return [&all = kernel->mounts().all(),
          at = std::size_t{0}]() mutable -> Result<std::optional<Mount>> {
    return at == all.size() ? std::optional<Mount>() : std::optional(all[at++]);
  };
}

}  // namespace

const Table& mounts_table() {
  static const DataTable<Mount> table(
      "mounts",
      "The mounts of every mount namespace that a task is in, as mountinfo shows them, and those "
      "that it does not because they lie hidden below the root directory: rootfs.",
      100, columns(), open);
  return table;
}

}  // namespace engram::tables
