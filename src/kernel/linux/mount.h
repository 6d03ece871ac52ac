// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Mounts of every mount namespace that a task is in.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/lazy.h"
#include "kernel/linux/path.h"
#include "kernel/linux/rb_tree.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

struct Mount {
  VirtAddr address;     ///< struct mount
  VirtAddr name_space;  ///< struct mnt_namespace
};

class Mounts {
 public:
  explicit Mounts(LinuxKernel& kernel);

  /// Namespace by namespace, in the order of the tasks. Walked once.
  [[nodiscard]] const std::vector<Mount>& all() const;

  // As /proc/PID/mountinfo shows it to a reader whose root is that of the mount tree. Nothing: the
  // member cannot be read.

  [[nodiscard]] std::optional<std::int32_t> id(VirtAddr mount) const {
    return reader_.get(mount, id_);
  }
  [[nodiscard]] std::optional<std::int32_t> parent_id(VirtAddr mount) const;
  /// The kernel's dev_t of the file system.
  [[nodiscard]] std::optional<std::uint32_t> device(VirtAddr mount) const;
  /// What of the file system is mounted: a path in it.
  [[nodiscard]] std::optional<std::string> root(VirtAddr mount) const;
  [[nodiscard]] std::optional<std::string> mount_point(VirtAddr mount) const;
  /// "rw,nosuid,relatime"
  [[nodiscard]] std::optional<std::string> options(VirtAddr mount) const;
  /// "shared:N master:N unbindable"; empty for a private mount.
  [[nodiscard]] std::optional<std::string> propagation(VirtAddr mount) const;
  [[nodiscard]] std::optional<std::string> type(VirtAddr mount) const;
  [[nodiscard]] std::optional<std::string> source(VirtAddr mount) const;
  /// Of those that every file system may have: "rw,sync,dirsync,mand,lazytime".
  [[nodiscard]] std::optional<std::string> super_options(VirtAddr mount) const;
  /// Its struct vfsmount, and the directory that it shows as its root.
  [[nodiscard]] std::optional<PathRef> root_path(VirtAddr mount) const;
  /// Type of the file system of a struct super_block, with its subtype: "fuse.sshfs".
  [[nodiscard]] std::optional<std::string> type_of(VirtAddr super) const;
  /// struct super_block
  [[nodiscard]] std::optional<VirtAddr> super_block(VirtAddr mount) const;

 private:
  void add_namespace(VirtAddr name_space, std::vector<Mount>& mounts) const;
  [[nodiscard]] std::vector<VirtAddr> walk_tree(VirtAddr name_space) const;
  [[nodiscard]] std::optional<bool> is_mapped(VirtAddr vfsmount) const;
  [[nodiscard]] std::optional<VirtAddr> vfsmount(VirtAddr mount) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  RbTreeWalker trees_;

  std::optional<std::uint64_t> list_, list_node_, tree_node_, vfsmount_;
  Field<VirtAddr> tree_;
  Field<std::int32_t> id_, group_;
  Field<VirtAddr> parent_, master_, source_;
  Field<std::uint32_t> propagation_flags_;
  Field<VirtAddr> root_, super_, idmap_, user_, super_user_;
  Field<std::uint32_t> flags_, device_;
  Field<std::uint64_t> super_flags_;
  Field<VirtAddr> type_, subtype_, type_name_;
  std::optional<VirtAddr> no_idmap_, first_user_;

  mutable Once once_;
  mutable std::vector<Mount> all_;
};

}  // namespace engram::kernel
