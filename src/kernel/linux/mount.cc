// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/mount.h"

#include <fmt/core.h>

#include <string_view>
#include <unordered_set>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/namespaces.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kMountLimit = 1U << 20U;  // of all namespaces; sysctl fs.mount-max is 100000
constexpr std::size_t kNameLimit = 4096;

struct Option {
  std::uint64_t bit;
  std::string_view name;
};
// show_mnt_opts() in fs/proc_namespace.c, bits of include/linux/mount.h.
constexpr Option kMountOptions[] = {{0x01, "nosuid"},     {0x02, "nodev"},      {0x04, "noexec"},
                                    {0x08, "noatime"},    {0x10, "nodiratime"}, {0x20, "relatime"},
                                    {0x80, "nosymfollow"}};
// show_sb_opts() there, bits of include/linux/fs.h.
constexpr Option kSuperOptions[] = {
    {1U << 4U, "sync"}, {1U << 7U, "dirsync"}, {1U << 6U, "mand"}, {1U << 25U, "lazytime"}};
constexpr std::uint64_t kMountReadOnly = 0x40, kSuperReadOnly = 1;
constexpr std::uint32_t kShared = 0x1000, kUnbindable = 0x2000;
constexpr std::uint32_t kSharedNow = 1, kUnbindableNow = 2;  // T_SHARED, T_UNBINDABLE, fs/mount.h
constexpr std::uint32_t kCursor = 0x10000000;                // MNT_CURSOR, include/linux/mount.h

template <std::size_t count>
std::string options_text(std::uint64_t flags, std::uint64_t read_only,
                         const Option (&options)[count]) {
  std::string text = (flags & read_only) != 0 ? "ro" : "rw";
  for (const auto& option : options) {
    if ((flags & option.bit) != 0) text += fmt::format(",{}", option.name);
  }
  return text;
}

}  // namespace

Mounts::Mounts(LinuxKernel& kernel)
    : kernel_(kernel), reader_(kernel.reader()), trees_(kernel.types(), reader_) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout name_space(types, diagnostics, "mnt_namespace");
  const Layout mount(types, diagnostics, "mount");
  // A list until 6.8, a tree since (2eea9ce4310d).
  tree_ = name_space.optional_field<VirtAddr>("mounts.rb_node");
  if (tree_) {
    tree_node_ = mount.offset_of("mnt_node");
  } else {
    list_ = name_space.offset_of("list");
    list_node_ = mount.offset_of("mnt_list");
  }
  vfsmount_ = mount.offset_of("mnt");
  id_ = mount.field<std::int32_t>("mnt_id");
  group_ = mount.field<std::int32_t>("mnt_group_id");
  parent_ = mount.field<VirtAddr>("mnt_parent");
  master_ = mount.field<VirtAddr>("mnt_master");
  source_ = mount.field<VirtAddr>("mnt_devname");
  propagation_flags_ = mount.optional_field<std::uint32_t>("mnt_t_flags");  // 6.17
  const Layout shown(types, diagnostics, "vfsmount");
  root_ = shown.field<VirtAddr>("mnt_root");
  super_ = shown.field<VirtAddr>("mnt_sb");
  flags_ = shown.field<std::uint32_t>("mnt_flags");
  // A user namespace since 5.12 (a6435940b62f), a mapping of its own since 6.2 (256c8aed2b42).
  idmap_ = shown.optional_field<VirtAddr>("mnt_idmap");
  user_ = shown.optional_field<VirtAddr>("mnt_userns");
  no_idmap_ = kernel.symbols().address_of("nop_mnt_idmap");
  first_user_ = kernel.symbols().address_of("init_user_ns");
  const Layout super(types, diagnostics, "super_block");
  if (user_) super_user_ = super.field<VirtAddr>("s_user_ns");
  device_ = super.field<std::uint32_t>("s_dev");
  super_flags_ = super.field<std::uint64_t>("s_flags");
  type_ = super.field<VirtAddr>("s_type");
  subtype_ = super.field<VirtAddr>("s_subtype");
  type_name_ = Layout(types, diagnostics, "file_system_type").field<VirtAddr>("name");
}

const std::vector<Mount>& Mounts::all() const {
  once_.call([this] {
    all_.clear();
    std::unordered_set<VirtAddr> seen;
    for (const auto& task : kernel_.tasks().of_both_sources()) {
      const auto found = kernel_.namespaces().of_task(task.address, NamespaceKind::mount);
      if (found && seen.insert(*found).second) add_namespace(*found, all_);
    }
  });
  return all_;
}

void Mounts::add_namespace(VirtAddr name_space, std::vector<Mount>& mounts) const {
  std::vector<VirtAddr> found;
  if (tree_) {
    found = walk_tree(name_space);
  } else if (list_ && list_node_) {
    found = walk_list(reader_, name_space + *list_, *list_node_, "mnt_namespace.list", kMountLimit);
  }
  for (const auto mount : found) {
    if (mounts.size() == kMountLimit) {
      reader_.report("mnt_namespace", name_space,
                     fmt::format("mounts are left out: {} have been found before", kMountLimit));
      return;
    }
    // From 5.8 to 6.7 who reads mountinfo has a mount in the list that says where he is.
    const auto shown = vfsmount(mount);
    if (!tree_ && shown && (reader_.get(*shown, flags_).value_or(0) & kCursor) != 0) continue;
    mounts.push_back({mount, name_space});
  }
}

// In order, which is that of the mounts' numbers.
std::vector<VirtAddr> Mounts::walk_tree(VirtAddr name_space) const {
  if (!tree_node_) return {};
  auto found = trees_.walk(reader_.follow(name_space, tree_), tree_.name, kMountLimit);
  for (auto& node : found) node = node - *tree_node_;
  return found;
}

std::optional<VirtAddr> Mounts::vfsmount(VirtAddr mount) const {
  return vfsmount_ ? std::optional(mount + *vfsmount_) : std::nullopt;
}

std::optional<std::int32_t> Mounts::parent_id(VirtAddr mount) const {
  const auto parent = reader_.follow(mount, parent_);
  return parent ? reader_.get(*parent, id_) : std::nullopt;
}

std::optional<VirtAddr> Mounts::super_block(VirtAddr mount) const {
  const auto shown = vfsmount(mount);
  return shown ? reader_.follow(*shown, super_) : std::nullopt;
}

std::optional<std::uint32_t> Mounts::device(VirtAddr mount) const {
  const auto super = super_block(mount);
  return super ? reader_.get(*super, device_) : std::nullopt;
}

std::optional<PathRef> Mounts::root_path(VirtAddr mount) const {
  const auto shown = vfsmount(mount);
  const auto root = shown ? reader_.follow(*shown, root_) : std::nullopt;
  return root ? std::optional(PathRef{*shown, *root}) : std::nullopt;
}

std::optional<std::string> Mounts::root(VirtAddr mount) const {
  const auto root = root_path(mount);
  return root ? kernel_.paths().in_file_system(*root) : std::nullopt;
}

std::optional<std::string> Mounts::mount_point(VirtAddr mount) const {
  const auto root = root_path(mount);
  return root ? kernel_.paths().mount_point(*root) : std::nullopt;
}

// is_idmapped_mnt() in include/linux/fs.h. Up to 5.16 the namespace of a mount that is not mapped
// is the initial one, from 5.17 on that of the file system (bd303368b776); neither can be mapped
// to.
std::optional<bool> Mounts::is_mapped(VirtAddr vfsmount) const {
  if (!idmap_ && !user_) return false;
  const auto none = idmap_ ? no_idmap_ : first_user_;
  if (!none) {
    reader_.report(idmap_ ? idmap_.name : user_.name, vfsmount,
                   "whether it maps users is not known: the kernel has no symbol nop_mnt_idmap, or "
                   "init_user_ns before 6.2");
    return std::nullopt;
  }
  const auto map = reader_.get(vfsmount, idmap_ ? idmap_ : user_);
  if (!map || idmap_) return map ? std::optional(*map != *none) : std::nullopt;
  const auto super = reader_.follow(vfsmount, super_);
  const auto of_super = super ? reader_.get(*super, super_user_) : std::nullopt;
  return of_super ? std::optional(*map != *none && *map != *of_super) : std::nullopt;
}

std::optional<std::string> Mounts::options(VirtAddr mount) const {
  const auto shown = vfsmount(mount);
  const auto flags = shown ? reader_.get(*shown, flags_) : std::nullopt;
  const auto mapped = flags ? is_mapped(*shown) : std::nullopt;
  if (!mapped) return std::nullopt;
  auto text = options_text(*flags, kMountReadOnly, kMountOptions);
  if (*mapped) text += ",idmapped";
  return text;
}

// show_mountinfo() there. Which peer group a mount seems to get its events from depends on the
// reader's root, and is left out.
std::optional<std::string> Mounts::propagation(VirtAddr mount) const {
  const auto shown = vfsmount(mount);
  const auto flags = propagation_flags_ ? reader_.get(mount, propagation_flags_)
                     : shown            ? reader_.get(*shown, flags_)
                                        : std::nullopt;
  const auto group = reader_.get(mount, group_);
  const auto master = reader_.get(mount, master_);
  if (!flags || !group || !master) return std::nullopt;
  std::string text;
  if ((*flags & (propagation_flags_ ? kSharedNow : kShared)) != 0) {
    text = fmt::format("shared:{}", *group);
  }
  if (*master) {
    const auto number = reader_.get(*master, group_);
    if (!number) return std::nullopt;
    text += fmt::format("{}master:{}", text.empty() ? "" : " ", *number);
  }
  if ((*flags & (propagation_flags_ ? kUnbindableNow : kUnbindable)) != 0) {
    text += text.empty() ? "unbindable" : " unbindable";
  }
  return text;
}

std::optional<std::string> Mounts::type(VirtAddr mount) const {
  const auto super = super_block(mount);
  return super ? type_of(*super) : std::nullopt;
}

// show_type() in fs/proc_namespace.c.
std::optional<std::string> Mounts::type_of(VirtAddr super) const {
  const auto type = reader_.follow(super, type_);
  const auto name = type ? reader_.follow(*type, type_name_) : std::nullopt;
  auto text = name ? reader_.text_at(*name, kNameLimit, type_name_.name) : std::nullopt;
  if (!text) return std::nullopt;
  if (const auto subtype = reader_.follow(super, subtype_)) {
    const auto more = reader_.text_at(*subtype, kNameLimit, subtype_.name);
    if (!more) return std::nullopt;
    *text += "." + *more;
  }
  return text;
}

std::optional<std::string> Mounts::source(VirtAddr mount) const {
  const auto name = reader_.get(mount, source_);
  if (!name) return std::nullopt;
  return *name ? reader_.text_at(*name, kNameLimit, source_.name)
               : std::optional<std::string>("none");
}

std::optional<std::string> Mounts::super_options(VirtAddr mount) const {
  const auto super = super_block(mount);
  const auto flags = super ? reader_.get(*super, super_flags_) : std::nullopt;
  if (!flags) return std::nullopt;
  return options_text(*flags, kSuperReadOnly, kSuperOptions);
}

}  // namespace engram::kernel
