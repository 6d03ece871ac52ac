// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// File tables: which files the tasks have open.

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/lazy.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

/// An open file in a table.
struct Descriptor {
  VirtAddr file;         ///< struct file
  VirtAddr table;        ///< struct files_struct
  std::uint32_t number;  ///< the fd
  bool close_on_exec;
};

/// A struct files_struct. Threads of a process share one as a rule; processes may.
struct FileTable {
  /// A process that uses the table: its first thread that does.
  struct User {
    VirtAddr task;
    std::int32_t tgid = 0;
  };
  VirtAddr address;
  std::vector<User> users;  ///< never empty; each process once, the owner first
};

/// What is known of an open file. Nothing: the member cannot be read.
struct FileFacts {
  std::optional<std::uint64_t> inode;
  std::optional<std::uint16_t> mode;     ///< st_mode: type and permissions
  std::optional<std::int64_t> size;      ///< st_size, bytes
  std::optional<std::uint32_t> uid;      ///< owner of the inode
  std::optional<std::uint32_t> device;   ///< of the file system: the kernel's dev_t
  std::optional<std::uint32_t> special;  ///< that a device file stands for: the kernel's dev_t
};

class FileTables {
 public:
  explicit FileTables(LinuxKernel& kernel);

  /// The tables of all tasks, in the order of the tasks, each once. Walked once.
  [[nodiscard]] const std::vector<FileTable>& all() const;
  /// The descriptors of all tables, table by table, in ascending order of their numbers.
  [[nodiscard]] const std::vector<Descriptor>& descriptors() const;
  /// The table at an address; nothing if no task uses it.
  [[nodiscard]] const FileTable* find(VirtAddr address) const;
  [[nodiscard]] std::span<const Descriptor> descriptors(const FileTable& table) const;

  /// The descriptors of all tables whose files have this inode.
  [[nodiscard]] std::span<const Descriptor> with_inode(VirtAddr inode) const;

  // Nothing: the member cannot be read.

  /// O_* bits as fdinfo shows them: with O_CLOEXEC, which belongs to the descriptor.
  [[nodiscard]] std::optional<std::uint32_t> flags(const Descriptor& descriptor) const;
  /// Bytes from the beginning of the file.
  [[nodiscard]] std::optional<std::int64_t> position(VirtAddr file) const {
    return reader_.get(file, position_);
  }
  /// struct inode.
  [[nodiscard]] std::optional<VirtAddr> inode(VirtAddr file) const {
    return reader_.follow(file, inode_);
  }
  /// The struct inode whose page cache has the file's pages. Of a block device that is the
  /// device's, of a file on an overlay the one of the file system below that it was found in.
  [[nodiscard]] std::optional<VirtAddr> cached_inode(VirtAddr file) const;
  /// What belongs to the kind of file: struct socket for sockets ...
  [[nodiscard]] std::optional<VirtAddr> private_data(VirtAddr file) const {
    return reader_.follow(file, private_data_);
  }
  /// Number of the mount, as in mountinfo.
  [[nodiscard]] std::optional<std::int32_t> mount_id(VirtAddr file) const;
  [[nodiscard]] FileFacts facts(VirtAddr file) const;

 private:
  struct Index {
    std::vector<FileTable> tables;
    std::vector<Descriptor> descriptors;
    std::vector<std::pair<std::size_t, std::size_t>> ranges;  ///< of each table: first, past last
    std::unordered_map<VirtAddr, std::size_t> by_address;
    std::uint64_t slots = 0;  ///< looked at
  };

  [[nodiscard]] const Index& index() const;
  void find_tables(Index& index) const;
  /// The struct file that a file of an overlay (`super`) stands for.
  [[nodiscard]] std::optional<VirtAddr> below_overlay(VirtAddr file, VirtAddr super) const;
  void read_table(Index& index, VirtAddr table) const;
  void read_close_on_exec(std::span<Descriptor> found, VirtAddr table, VirtAddr bitmap) const;

  LinuxKernel& kernel_;
  const Reader& reader_;

  Field<VirtAddr> fdt_, files_, close_on_exec_;
  Field<std::uint32_t> count_;
  Field<VirtAddr> inode_, mapping_, host_, private_data_, mount_;
  Field<std::uint32_t> flags_;
  Field<std::int64_t> position_;
  Field<std::uint64_t> magic_;
  Field<std::int32_t> mount_id_;
  std::optional<std::uint64_t> vfsmount_in_mount_;

  mutable Once index_once_;
  mutable Index index_;
  mutable Once by_inode_once_;
  mutable std::unordered_map<VirtAddr, std::vector<Descriptor>> by_inode_;
};

}  // namespace engram::kernel
