// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/path.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

namespace engram::kernel {
namespace {

constexpr std::size_t kNameLimit = 4096;  // NAME_MAX is 255; names of pseudo files may be longer
constexpr std::size_t kComponentLimit =
    4096;  // PATH_MAX / 2 components fit in what a system call takes
constexpr std::size_t kMountLimit = 4096;              // mounts on the way up
constexpr std::uint32_t kNamespaceFiles = 0x6e736673;  // NSFS_MAGIC, include/uapi/linux/magic.h

}  // namespace

Paths::Paths(Reader reader, const types::TypeDb& types, const types::SymbolTable& symbols)
    : reader_(reader) {
  auto& diagnostics = reader_.diagnostics();
  const Layout path(types, diagnostics, "path");
  path_mount_ = path.field<VirtAddr>("mnt");
  path_dentry_ = path.field<VirtAddr>("dentry");
  const Layout dentry(types, diagnostics, "dentry");
  dentry_parent_ = dentry.field<VirtAddr>("d_parent");
  dentry_name_ = dentry.field<VirtAddr>("d_name.name");
  dentry_name_length_ = dentry.field<std::uint32_t>("d_name.len");
  dentry_hash_ = dentry.field<VirtAddr>("d_hash.pprev");
  dentry_operations_ = dentry.field<VirtAddr>("d_op");
  operations_name_ = Layout(types, diagnostics, "dentry_operations").field<VirtAddr>("d_dname");
  vfsmount_root_ = Layout(types, diagnostics, "vfsmount").field<VirtAddr>("mnt_root");
  const Layout mount(types, diagnostics, "mount");
  mount_parent_ = mount.field<VirtAddr>("mnt_parent");
  mount_point_ = mount.field<VirtAddr>("mnt_mountpoint");
  vfsmount_in_mount_ = mount.offset_of("mnt");
  path_in_file_ = Layout(types, diagnostics, "file").offset_of("f_path");
  dentry_inode_ = dentry.field<VirtAddr>("d_inode");
  dentry_super_ = dentry.field<VirtAddr>("d_sb");
  dentry_data_ = dentry.field<VirtAddr>("d_fsdata");
  super_magic_ = Layout(types, diagnostics, "super_block").field<std::uint64_t>("s_magic");
  const Layout inode(types, diagnostics, "inode");
  inode_number_ = inode.field<std::uint64_t>("i_ino");
  inode_private_ = inode.field<VirtAddr>("i_private");
  namespace_operations_ = Layout(types, diagnostics, "ns_common").field<VirtAddr>("ops");
  namespace_name_ = Layout(types, diagnostics, "proc_ns_operations").field<VirtAddr>("name");
  if (types.find_struct("dma_buf")) {
    dma_buffer_name_ = Layout(types, diagnostics, "dma_buf").optional_field<VirtAddr>("name");
  }
  // include/uapi/linux/magic.h; that of pidfs is in fs/pidfs.c.
  namers_ = {{{OwnName::simple, symbols.address_of("simple_dname"), 0},
              {OwnName::pipe, symbols.address_of("pipefs_dname"), 0x50495045},
              {OwnName::socket, symbols.address_of("sockfs_dname"), 0x534f434b},
              {OwnName::anonymous, symbols.address_of("anon_inodefs_dname"), 0x09041934},
              {OwnName::name_space, symbols.address_of("ns_dname"), kNamespaceFiles},
              {OwnName::pidfd, symbols.address_of("pidfs_dname"), 0x50494446},
              {OwnName::dma_buffer, symbols.address_of("dmabuffs_dname"), 0x444d4142}}};
}

std::optional<PathRef> Paths::at(VirtAddr address) const {
  const auto mount = reader_.follow(address, path_mount_);
  const auto dentry = reader_.follow(address, path_dentry_);
  if (!mount || !dentry) return std::nullopt;
  return PathRef{*mount, *dentry};
}

std::optional<std::string> Paths::text_at(VirtAddr struct_path) const {
  const auto path = at(struct_path);
  return path ? text(*path) : std::nullopt;
}

std::optional<std::string> Paths::of_file(VirtAddr file) const {
  if (!file || !path_in_file_) return std::nullopt;
  return text_at(file + *path_in_file_);
}

// d_path(): a dentry whose file system prints names of its own, unless it is the root of its mount.
// The function says which; without its symbol, and if it was replaced, the file system does.
Paths::OwnName Paths::own_name(const PathRef& path) const {
  const auto operations = reader_.follow(path.dentry, dentry_operations_);
  const auto function = operations ? reader_.follow(*operations, operations_name_) : std::nullopt;
  if (!function) return OwnName::none;
  if (reader_.get(path.dentry, dentry_parent_) == path.dentry &&
      reader_.get(path.mount, vfsmount_root_) == path.dentry) {
    return OwnName::none;
  }
  for (const auto& namer : namers_) {
    if (namer.function == function) return namer.kind;
  }
  const auto super = reader_.follow(path.dentry, dentry_super_);
  const auto magic = super ? reader_.get(*super, super_magic_) : std::nullopt;
  for (const auto& namer : namers_) {
    if (magic && namer.magic != 0 && *magic == namer.magic) return namer.kind;
  }
  return OwnName::none;
}

// The d_dname functions: simple_dname() in fs/d_path.c, and those of fs/pipe.c, net/socket.c,
// fs/anon_inodes.c, fs/nsfs.c, fs/pidfs.c and drivers/dma-buf/dma-buf.c.
std::optional<std::string> Paths::own_text(OwnName kind, VirtAddr dentry) const {
  if (kind == OwnName::pidfd) return "anon_inode:[pidfd]";
  if (kind == OwnName::simple || kind == OwnName::anonymous || kind == OwnName::dma_buffer) {
    const auto name = component(dentry);
    if (!name) return std::nullopt;
    if (kind == OwnName::simple) return "/" + *name + " (deleted)";
    if (kind == OwnName::anonymous) return "anon_inode:" + *name;
    const auto buffer = reader_.follow(dentry, dentry_data_);
    const auto label = buffer ? reader_.follow(*buffer, dma_buffer_name_) : std::nullopt;
    const auto text = label ? reader_.text_at(*label, kNameLimit, dma_buffer_name_.name)
                            : std::optional<std::string>("");
    return text ? std::optional("/" + *name + ":" + *text) : std::nullopt;
  }
  const auto inode = reader_.follow(dentry, dentry_inode_);
  const auto number = inode ? reader_.get(*inode, inode_number_) : std::nullopt;
  if (!number) return std::nullopt;
  if (kind == OwnName::pipe) return fmt::format("pipe:[{}]", *number);
  if (kind == OwnName::socket) return fmt::format("socket:[{}]", *number);
  // Until 6.9 the operations were in d_fsdata, too (1fa08aece425).
  const auto name_space = reader_.follow(*inode, inode_private_);
  const auto operations =
      name_space ? reader_.follow(*name_space, namespace_operations_) : std::nullopt;
  const auto name = operations ? reader_.follow(*operations, namespace_name_) : std::nullopt;
  const auto text = name ? reader_.text_at(*name, kNameLimit, namespace_name_.name) : std::nullopt;
  return text ? std::optional(fmt::format("{}:[{}]", *text, *number)) : std::nullopt;
}

// d_unlinked(): d_unhashed() && !IS_ROOT().
std::optional<bool> Paths::is_deleted(VirtAddr dentry) const {
  const auto hash = reader_.get(dentry, dentry_hash_);
  const auto parent = reader_.get(dentry, dentry_parent_);
  if (!hash || !parent) return std::nullopt;
  return !*hash && *parent != dentry;
}

std::optional<std::string> Paths::component(VirtAddr dentry) const {
  const auto length = reader_.get(dentry, dentry_name_length_);
  const auto name = reader_.get(dentry, dentry_name_);
  if (!length || !name) return std::nullopt;
  if (*length > kNameLimit) {
    reader_.report("dentry.d_name", dentry,
                   fmt::format("a name of {} bytes, at most {} expected", *length, kNameLimit));
    return std::nullopt;
  }
  std::string text(*length, '\0');
  const auto bytes = std::as_writable_bytes(std::span(text.data(), text.size()));
  if (const auto read = reader_.space().read_exact(*name, bytes); !read) {
    reader_.report("dentry.d_name", dentry, paging::to_string(read.error()));
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> Paths::text(const PathRef& path) const {
  if (const auto kind = own_name(path); kind != OwnName::none) return own_text(kind, path.dentry);
  const auto deleted = is_deleted(path.dentry);
  auto text = deleted ? ascend(path, /*across_mounts=*/bool(path.mount)) : std::nullopt;
  if (text && *deleted) *text += " (deleted)";
  return text;
}

std::optional<std::string> Paths::mount_point(const PathRef& root) const {
  return ascend(root, true);
}

// dentry_path() in fs/d_path.c; of namespaces their names (nsfs_show_path() in fs/nsfs.c).
std::optional<std::string> Paths::in_file_system(const PathRef& path) const {
  const auto super = reader_.follow(path.dentry, dentry_super_);
  const auto magic = super ? reader_.get(*super, super_magic_) : std::nullopt;
  if (magic == kNamespaceFiles) return own_text(OwnName::name_space, path.dentry);
  const auto deleted = is_deleted(path.dentry);
  auto text = deleted ? ascend(path, false) : std::nullopt;
  if (text && *deleted) *text += "//deleted";
  return text;
}

// prepend_path() in fs/d_path.c, up to the top of the mount tree, or of the file system.
std::optional<std::string> Paths::ascend(const PathRef& path, bool across_mounts) const {
  if (!vfsmount_in_mount_) return std::nullopt;
  std::vector<std::string> components;
  VirtAddr dentry = path.dentry;
  VirtAddr mount = path.mount - *vfsmount_in_mount_;
  for (std::size_t steps = 0, mounts = 0;; ++steps) {
    if (steps == kComponentLimit || mounts == kMountLimit) {
      reader_.report("path", path.dentry, fmt::format("does not reach a root in {} steps", steps));
      return std::nullopt;
    }
    const auto mount_root =
        across_mounts ? reader_.get(mount + *vfsmount_in_mount_, vfsmount_root_) : std::nullopt;
    if (across_mounts && !mount_root) return std::nullopt;
    if (across_mounts && dentry == *mount_root) {
      const auto parent = reader_.follow(mount, mount_parent_);
      const auto point = reader_.follow(mount, mount_point_);
      if (!parent || !point) return std::nullopt;
      if (*parent == mount) break;
      mount = *parent;
      dentry = *point;
      ++mounts;
      continue;
    }
    const auto parent = reader_.follow(dentry, dentry_parent_);
    if (!parent) return std::nullopt;
    if (*parent == dentry) break;  // the root of a file system that the mount does not show whole
    auto name = component(dentry);
    if (!name) return std::nullopt;
    components.push_back(std::move(*name));
    dentry = *parent;
  }

  std::string text;
  for (auto name = components.rbegin(); name != components.rend(); ++name) text += "/" + *name;
  if (text.empty()) text = "/";
  return text;
}

}  // namespace engram::kernel
