// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/inode.h"

#include <fmt/core.h>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/mount.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kSuperLimit = 1U << 20U;
constexpr std::size_t kInodeLimit = 1U << 24U;  // of all file systems
constexpr std::size_t kAliasLimit = 1U << 16U;  // hard links of one file
constexpr std::size_t kDepthLimit = 4096;       // PATH_MAX / 2 components fit in a path
constexpr std::uint16_t kTypeMask = 0170000;    // S_IFMT
constexpr std::uint16_t kCharacter = 0020000, kBlockDevice = 0060000;  // S_IFCHR, S_IFBLK

// Since 6.13 the highest bit of ctime says whether somebody has seen it: I_CTIME_QUERIED in
// include/linux/fs.h.
constexpr std::uint32_t kNanoseconds = 0x7fffffff;
constexpr std::uint32_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

Inodes::Inodes(LinuxKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout inode(types, diagnostics, "inode");
  number_ = inode.field<std::uint64_t>("i_ino");
  mode_ = inode.field<std::uint16_t>("i_mode");
  uid_ = inode.field<std::uint32_t>("i_uid.val");
  gid_ = inode.field<std::uint32_t>("i_gid.val");
  links_ = inode.field<std::uint32_t>("i_nlink");
  size_ = inode.field<std::int64_t>("i_size");
  blocks_ = inode.field<std::uint64_t>("i_blocks");
  special_ = inode.field<std::uint32_t>("i_rdev");
  super_ = inode.field<VirtAddr>("i_sb");
  // A timespec64 until 6.6, two members since 6.11 (3aa63a569c64); __i_ctime in 6.6 (13bc24457850),
  // the others in 6.7.
  const auto time = [&inode](std::string_view a, std::string_view b, std::string_view c,
                             std::string_view d, std::string_view e, std::string_view f) {
    return TimeFields{inode.first_of<std::int64_t>({a, b, c}),
                      inode.first_of<std::uint32_t>({d, e, f})};
  };
  accessed_ = time("i_atime_sec", "__i_atime.tv_sec", "i_atime.tv_sec", "i_atime_nsec",
                   "__i_atime.tv_nsec", "i_atime.tv_nsec");
  modified_ = time("i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec", "i_mtime_nsec",
                   "__i_mtime.tv_nsec", "i_mtime.tv_nsec");
  changed_ = time("i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec", "i_ctime_nsec",
                  "__i_ctime.tv_nsec", "i_ctime.tv_nsec");
  inode_node_ = inode.offset_of("i_sb_list");
  first_alias_ = inode.field<VirtAddr>("i_dentry.first");
  const Layout dentry(types, diagnostics, "dentry");
  // In a union d_u until 6.x.
  const auto alias = dentry.first_of<VirtAddr>({"d_alias.next", "d_u.d_alias.next"});
  alias_node_ = alias.offset;
  parent_ = dentry.field<VirtAddr>("d_parent");
  next_alias_ = Layout(types, diagnostics, "hlist_node").field<VirtAddr>("next");
  const Layout super(types, diagnostics, "super_block");
  super_node_ = super.offset_of("s_list");
  inode_list_ = super.offset_of("s_inodes");
  root_ = super.field<VirtAddr>("s_root");
  device_ = super.field<std::uint32_t>("s_dev");
}

const Inodes::Index& Inodes::index() const {
  once_.call([this] {
    index_ = {};
    const auto& mounts = kernel_.mounts();
    for (const auto& mount : mounts.all()) {
      const auto super = mounts.super_block(mount.address);
      const auto root = mounts.root_path(mount.address);
      if (super && root) index_.mounts[*super].emplace(root->dentry, root->mount);
    }
    const auto head = kernel_.symbols().address_of("super_blocks");
    if (!head || !super_node_ || !inode_list_ || !inode_node_) {
      reader_.report("super_blocks", head.value_or(VirtAddr()),
                     "no such symbol, or no such list in the kernel's types");
      return;
    }
    for (const auto super : walk_list(reader_, *head, *super_node_, "super_blocks", kSuperLimit)) {
      const auto room = kInodeLimit - index_.all.size();
      for (const auto inode :
           walk_list(reader_, super + *inode_list_, *inode_node_, "super_block.s_inodes", room)) {
        if (index_.known.insert(inode).second) index_.all.push_back(inode);
      }
    }
  });
  return index_;
}

const std::vector<VirtAddr>& Inodes::all() const {
  return index().all;
}

bool Inodes::has(VirtAddr inode) const {
  return index().known.contains(inode);
}

std::vector<VirtAddr> Inodes::aliases(VirtAddr inode) const {
  std::vector<VirtAddr> found;
  if (!alias_node_) return found;
  std::unordered_set<VirtAddr> seen;
  auto node = reader_.follow(inode, first_alias_);
  while (node) {
    if (seen.size() == kAliasLimit || !seen.insert(*node).second) {
      reader_.report("inode.i_dentry", inode,
                     fmt::format("the list does not end after {} dentries", seen.size()));
      break;
    }
    const auto next = reader_.get(*node, next_alias_);
    if (!next) break;  // what cannot be read is no dentry
    // alloc_file_pseudo() for block devices (bdev_file_open_by_dev(), 6.9) gives one without a
    // name.
    if (const auto dentry = *node - *alias_node_; kernel_.paths().has_name(dentry)) {
      found.push_back(dentry);
    }
    node = *next ? next : std::nullopt;
  }
  return found;
}

std::optional<VirtAddr> Inodes::dentry(VirtAddr inode) const {
  const auto found = aliases(inode);
  for (const auto dentry : found) {
    if (kernel_.paths().is_deleted(dentry) == false) return dentry;
  }
  return found.empty() ? std::nullopt : std::optional(found.front());
}

std::optional<std::uint64_t> Inodes::names(VirtAddr inode) const {
  if (!reader_.get(inode, first_alias_)) return std::nullopt;
  return aliases(inode).size();
}

/// The struct vfsmount to show a dentry below; NULL if there is none.
VirtAddr Inodes::mount_of(VirtAddr dentry, VirtAddr super) const {
  const auto found = index().mounts.find(super);
  if (found == index().mounts.end()) return {};
  const auto& mounts = found->second;
  const auto root = reader_.follow(super, root_);
  if (const auto whole = root ? mounts.find(*root) : mounts.end(); whole != mounts.end()) {
    return whole->second;
  }
  for (std::size_t steps = 0; steps < kDepthLimit; ++steps) {
    if (const auto mount = mounts.find(dentry); mount != mounts.end()) return mount->second;
    const auto parent = reader_.follow(dentry, parent_);
    if (!parent || *parent == dentry) return {};
    dentry = *parent;
  }
  reader_.report(parent_.name, dentry, fmt::format("no root after {} parents", kDepthLimit));
  return {};
}

std::optional<std::string> Inodes::path(VirtAddr inode) const {
  const auto found = dentry(inode);
  const auto super = super_block(inode);
  if (!found || !super) return std::nullopt;
  return kernel_.paths().text({mount_of(*found, *super), *found});
}

std::optional<bool> Inodes::is_deleted(VirtAddr inode) const {
  if (links(inode) == 0U) return true;
  const auto found = dentry(inode);
  return found ? kernel_.paths().is_deleted(*found) : std::nullopt;
}

std::optional<FileTime> Inodes::time(VirtAddr inode, const TimeFields& fields) const {
  const auto seconds = reader_.get(inode, fields.seconds);
  const auto nanoseconds = reader_.get(inode, fields.nanoseconds);
  if (!seconds || !nanoseconds) return std::nullopt;
  const std::uint32_t part = *nanoseconds & kNanoseconds;
  std::int64_t sum = 0;
  if (part >= kNanosecondsPerSecond ||
      __builtin_mul_overflow(*seconds, std::int64_t{kNanosecondsPerSecond}, &sum) ||
      __builtin_add_overflow(sum, std::int64_t{part}, &sum)) {
    reader_.report(fields.seconds.name, inode,
                   fmt::format("{} seconds and {} nanoseconds: no time", *seconds, part));
    return std::nullopt;
  }
  return FileTime{*seconds, sum};
}

std::optional<std::uint32_t> Inodes::device(VirtAddr inode) const {
  const auto super = super_block(inode);
  return super ? reader_.get(*super, device_) : std::nullopt;
}

std::optional<std::uint32_t> Inodes::special_device(VirtAddr inode) const {
  const auto mode = this->mode(inode);
  const auto type = mode.value_or(0) & kTypeMask;
  if (type != kCharacter && type != kBlockDevice) return std::nullopt;
  return reader_.get(inode, special_);
}

std::optional<std::string> Inodes::file_system(VirtAddr inode) const {
  const auto super = super_block(inode);
  return super ? kernel_.mounts().type_of(*super) : std::nullopt;
}

}  // namespace engram::kernel
