// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Inodes: the files that the kernel knows, open or not.

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/lazy.h"
#include "kernel/linux/path.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

/// A time of an inode.
struct FileTime {
  std::int64_t seconds = 0;      ///< Unix time
  std::int64_t nanoseconds = 0;  ///< the same in nanoseconds, with what is behind the full second
};

class Inodes {
 public:
  explicit Inodes(LinuxKernel& kernel);

  /// The struct inodes of every file system that is mounted or that the kernel uses itself, in the
  /// order of their super blocks, each once. Pipes and sockets are on no such list. Walked once.
  [[nodiscard]] const std::vector<VirtAddr>& all() const;
  [[nodiscard]] bool has(VirtAddr inode) const;

  /// The dentry that names it: one that was not deleted, if there is one. Nothing: the kernel does
  /// not keep a name in memory.
  [[nodiscard]] std::optional<VirtAddr> dentry(VirtAddr inode) const;
  /// How many dentries name it.
  [[nodiscard]] std::optional<std::uint64_t> names(VirtAddr inode) const;
  /// Path of that dentry as Paths::text() gives it, below the first mount that shows the file
  /// system whole, or else below one of those that show the least around it. Where the file system
  /// is mounted nowhere: the path in it.
  [[nodiscard]] std::optional<std::string> path(VirtAddr inode) const;
  /// It has no name in any directory, or had none ever, as a memfd. Nothing: it is not known.
  [[nodiscard]] std::optional<bool> is_deleted(VirtAddr inode) const;

  // As stat(2), for file systems that do as generic_fillattr(). Nothing: the member cannot be read.

  [[nodiscard]] std::optional<std::uint64_t> number(VirtAddr inode) const {
    return reader_.get(inode, number_);
  }
  [[nodiscard]] std::optional<std::uint16_t> mode(VirtAddr inode) const {
    return reader_.get(inode, mode_);
  }
  [[nodiscard]] std::optional<std::uint32_t> uid(VirtAddr inode) const {
    return reader_.get(inode, uid_);
  }
  [[nodiscard]] std::optional<std::uint32_t> gid(VirtAddr inode) const {
    return reader_.get(inode, gid_);
  }
  [[nodiscard]] std::optional<std::uint32_t> links(VirtAddr inode) const {
    return reader_.get(inode, links_);
  }
  [[nodiscard]] std::optional<std::int64_t> size(VirtAddr inode) const {
    return reader_.get(inode, size_);
  }
  [[nodiscard]] std::optional<std::uint64_t> blocks(VirtAddr inode) const {
    return reader_.get(inode, blocks_);
  }
  [[nodiscard]] std::optional<FileTime> accessed(VirtAddr inode) const {
    return time(inode, accessed_);
  }
  [[nodiscard]] std::optional<FileTime> modified(VirtAddr inode) const {
    return time(inode, modified_);
  }
  [[nodiscard]] std::optional<FileTime> changed(VirtAddr inode) const {
    return time(inode, changed_);
  }
  /// struct super_block
  [[nodiscard]] std::optional<VirtAddr> super_block(VirtAddr inode) const {
    return reader_.follow(inode, super_);
  }
  /// The kernel's dev_t of the file system.
  [[nodiscard]] std::optional<std::uint32_t> device(VirtAddr inode) const;
  /// The kernel's dev_t that a device file stands for.
  [[nodiscard]] std::optional<std::uint32_t> special_device(VirtAddr inode) const;
  /// Type of the file system, as Mounts::type_of() gives it: "ext4".
  [[nodiscard]] std::optional<std::string> file_system(VirtAddr inode) const;

 private:
  struct TimeFields {
    Field<std::int64_t> seconds;
    Field<std::uint32_t> nanoseconds;
  };
  struct Index {
    std::vector<VirtAddr> all;
    std::unordered_set<VirtAddr> known;
    /// By super block: the first struct vfsmount whose root is the dentry.
    std::unordered_map<VirtAddr, std::unordered_map<VirtAddr, VirtAddr>> mounts;
  };

  [[nodiscard]] std::optional<FileTime> time(VirtAddr inode, const TimeFields& fields) const;
  [[nodiscard]] std::vector<VirtAddr> aliases(VirtAddr inode) const;
  [[nodiscard]] VirtAddr mount_of(VirtAddr dentry, VirtAddr super) const;
  [[nodiscard]] const Index& index() const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  Field<std::uint64_t> number_, blocks_;
  Field<std::uint16_t> mode_;
  Field<std::uint32_t> uid_, gid_, links_, special_, device_;
  Field<std::int64_t> size_;
  TimeFields accessed_, modified_, changed_;
  Field<VirtAddr> super_, first_alias_, next_alias_, root_, parent_;
  std::optional<std::uint64_t> super_node_, inode_list_, inode_node_, alias_node_;

  mutable Once once_;
  mutable Index index_;
};

}  // namespace engram::kernel
