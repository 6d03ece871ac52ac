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
constexpr std::size_t kMountLimit = 4096;  // mounts on the way up

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
  simple_dname_ = symbols.address_of("simple_dname");
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

// d_path(): a dentry whose file system prints names of its own (memfd, shared memory), unless it is
// the root of its mount.
bool Paths::names_itself(const PathRef& path) const {
  const auto operations = reader_.follow(path.dentry, dentry_operations_);
  const auto function = operations ? reader_.follow(*operations, operations_name_) : std::nullopt;
  if (!function || function != simple_dname_) return false;
  return reader_.get(path.dentry, dentry_parent_) != path.dentry ||
         reader_.get(path.mount, vfsmount_root_) != path.dentry;
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
  if (names_itself(path)) {
    const auto name = component(path.dentry);
    return name ? std::optional("/" + *name + " (deleted)") : std::nullopt;
  }
  const auto deleted = is_deleted(path.dentry);
  if (!deleted || !vfsmount_in_mount_) return std::nullopt;

  // prepend_path() in fs/d_path.c, up to the top of the mount tree.
  std::vector<std::string> components;
  VirtAddr dentry = path.dentry;
  VirtAddr mount = path.mount - *vfsmount_in_mount_;
  for (std::size_t steps = 0, mounts = 0;; ++steps) {
    if (steps == kComponentLimit || mounts == kMountLimit) {
      reader_.report("path", path.dentry, fmt::format("does not reach a root in {} steps", steps));
      return std::nullopt;
    }
    const auto mount_root = reader_.get(mount + *vfsmount_in_mount_, vfsmount_root_);
    if (!mount_root) return std::nullopt;
    if (dentry == *mount_root) {
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
  if (*deleted) text += " (deleted)";
  return text;
}

}  // namespace engram::kernel
