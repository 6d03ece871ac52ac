// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Paths of files as the kernel prints them: across mounts, with " (deleted)".

#include <array>
#include <optional>
#include <string>

#include "kernel/linux/reader.h"
#include "types/symbols.h"
#include "types/type_db.h"

namespace engram::kernel {

/// A struct path: where it lies in the mount tree.
struct PathRef {
  VirtAddr mount;   ///< struct vfsmount
  VirtAddr dentry;  ///< struct dentry
};

class Paths {
 public:
  Paths(Reader reader, const types::TypeDb& types, const types::SymbolTable& symbols);

  /// The struct path at `address`; nothing (and a diagnostics row) if it cannot be read, nothing if
  /// it is empty.
  [[nodiscard]] std::optional<PathRef> at(VirtAddr address) const;

  /// The path from the root of the mount tree that the file lies in, as d_path() (fs/d_path.c)
  /// prints it for a reader whose root is that tree's: /proc/PID/fd for one. Files without a path
  /// have names instead: pipe:[N], socket:[N], anon_inode:NAME, mnt:[N] ... A component that
  /// cannot be read makes it nothing, with a diagnostics row. Without a mount (NULL) it is the path
  /// in the file system.
  [[nodiscard]] std::optional<std::string> text(const PathRef& path) const;
  [[nodiscard]] std::optional<std::string> text_at(VirtAddr struct_path) const;

  /// Where a mount is mounted, of the root of the mount: the path to it, without what is said of
  /// deleted files.
  [[nodiscard]] std::optional<std::string> mount_point(const PathRef& root) const;
  /// The path in the file system itself, whatever is mounted where; "//deleted" at its end for a
  /// deleted file, as mountinfo shows roots of mounts.
  [[nodiscard]] std::optional<std::string> in_file_system(const PathRef& path) const;

  /// Whether a dentry has a name at all: those that only make a struct file complete have none.
  [[nodiscard]] bool has_name(VirtAddr dentry) const {
    return reader_.get(dentry, dentry_name_length_).value_or(0) != 0;
  }
  /// d_unlinked(): it has been deleted. Nothing: it cannot be read.
  [[nodiscard]] std::optional<bool> is_deleted(VirtAddr dentry) const;

  /// The path of an open struct file.
  [[nodiscard]] std::optional<std::string> of_file(VirtAddr file) const;

 private:
  /// Whose name a dentry without a place in a tree prints.
  enum class OwnName : std::uint8_t {
    none,  ///< it has a path
    simple,
    pipe,
    socket,
    anonymous,
    name_space,
    pidfd,
    dma_buffer,
  };
  struct Namer {
    OwnName kind = OwnName::none;
    std::optional<VirtAddr> function;  ///< dentry_operations.d_dname
    std::uint32_t magic = 0;           ///< super_block.s_magic; 0: of several file systems
  };

  [[nodiscard]] OwnName own_name(const PathRef& path) const;
  [[nodiscard]] std::optional<std::string> own_text(OwnName kind, VirtAddr dentry) const;
  [[nodiscard]] std::optional<std::string> ascend(const PathRef& path, bool across_mounts) const;
  [[nodiscard]] std::optional<std::string> component(VirtAddr dentry) const;

  Reader reader_;
  Field<VirtAddr> path_mount_, path_dentry_;
  Field<VirtAddr> dentry_parent_, dentry_name_, dentry_hash_, dentry_operations_;
  Field<std::uint32_t> dentry_name_length_;
  Field<VirtAddr> operations_name_;
  Field<VirtAddr> vfsmount_root_;
  Field<VirtAddr> mount_parent_, mount_point_;
  std::optional<std::uint64_t> vfsmount_in_mount_;
  std::optional<std::uint64_t> path_in_file_;
  Field<VirtAddr> dentry_inode_, dentry_super_, dentry_data_;
  Field<std::uint64_t> super_magic_, inode_number_;
  Field<VirtAddr> inode_private_, namespace_operations_, namespace_name_, dma_buffer_name_;
  std::array<Namer, 7> namers_;
};

}  // namespace engram::kernel
