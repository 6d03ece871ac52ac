// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Paths of files as the kernel prints them: across mounts, with " (deleted)".

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
  /// prints it for a reader whose root is that tree's. A component that cannot be read makes it
  /// nothing, with a diagnostics row.
  [[nodiscard]] std::optional<std::string> text(const PathRef& path) const;
  [[nodiscard]] std::optional<std::string> text_at(VirtAddr struct_path) const;

  /// The path of an open struct file.
  [[nodiscard]] std::optional<std::string> of_file(VirtAddr file) const;

 private:
  [[nodiscard]] bool names_itself(const PathRef& path) const;
  [[nodiscard]] std::optional<bool> is_deleted(VirtAddr dentry) const;
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
  std::optional<VirtAddr> simple_dname_;
};

}  // namespace engram::kernel
