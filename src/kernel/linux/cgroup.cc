// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/cgroup.h"

#include <fmt/core.h>

#include <algorithm>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kDepthLimit = 4096;      // PATH_MAX holds no more names
constexpr std::size_t kNameLimit = 256;        // NAME_MAX and the end
constexpr std::size_t kHierarchyLimit = 4096;  // one a controller, and named ones
constexpr std::uint32_t kOnline = 1U << 1U;    // CSS_ONLINE, include/linux/cgroup-defs.h
constexpr std::uint64_t kControllerBits = 16;  // of cgroup_root.subsys_mask
constexpr std::size_t kIdLength = 64;

bool is_hexadecimal(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

}  // namespace

Cgroups::Cgroups(LinuxKernel& kernel)
    : reader_(kernel.reader()), subsystems_(kernel.symbols().address_of("cgroup_subsys")) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  // All of these, but kernfs, are there with CONFIG_CGROUPS only.
  css_set_ = Layout(types, diagnostics, "task_struct").optional_field<VirtAddr>("cgroups");
  const auto set = Layout::of_optional(types, diagnostics, "css_set");
  default_ = set.field<VirtAddr>("dfl_cgrp");
  links_ = set.offset_of("cgrp_links");
  const auto link = Layout::of_optional(types, diagnostics, "cgrp_cset_link");
  link_cgroup_ = link.field<VirtAddr>("cgrp");
  link_node_ = link.offset_of("cgrp_link");
  const auto cgroup = Layout::of_optional(types, diagnostics, "cgroup");
  node_ = cgroup.field<VirtAddr>("kn");
  root_ = cgroup.field<VirtAddr>("root");
  css_flags_ = cgroup.field<std::uint32_t>("self.flags");
  const Layout node(types, diagnostics, "kernfs_node");
  node_parent_ = node.first_of<VirtAddr>({"__parent", "parent"});  // 633488947ef6, 6.15
  node_name_ = node.field<VirtAddr>("name");
  const auto root = Layout::of_optional(types, diagnostics, "cgroup_root");
  hierarchy_ = root.field<std::uint32_t>("hierarchy_id");
  controllers_ = root.field<std::uint32_t>("subsys_mask");
  root_name_ = root.text("name");
  legacy_name_ =
      Layout::of_optional(types, diagnostics, "cgroup_subsys").field<VirtAddr>("legacy_name");
}

std::vector<VirtAddr> Cgroups::of_task(VirtAddr task) const {
  const auto set = reader_.follow(task, css_set_);
  if (!set) return {};
  std::vector<VirtAddr> found;
  if (const auto cgroup = reader_.follow(*set, default_)) found.push_back(*cgroup);
  // The first sets of a starting kernel have no links yet.
  if (!links_ || !link_node_) return found;
  for (const auto link :
       walk_list(reader_, *set + *links_, *link_node_, "css_set.cgrp_links", kHierarchyLimit)) {
    const auto cgroup = reader_.follow(link, link_cgroup_);
    if (cgroup && std::find(found.begin(), found.end(), *cgroup) == found.end()) {
      found.push_back(*cgroup);
    }
  }
  return found;
}

// kernfs_path_from_node() in fs/kernfs/dir.c, up to the root, whose name is empty.
std::optional<std::string> Cgroups::path(VirtAddr cgroup) const {
  const auto flags = reader_.get(cgroup, css_flags_);
  auto node = reader_.follow(cgroup, node_);
  if (!flags || !node) return std::nullopt;
  std::vector<std::string> names;
  for (;;) {
    const auto parent = reader_.get(*node, node_parent_);
    if (!parent) return std::nullopt;
    if (!*parent) break;
    if (names.size() == kDepthLimit) {
      reader_.report(node_parent_.name, cgroup,
                     fmt::format("no root after {} parents", kDepthLimit));
      return std::nullopt;
    }
    const auto name = reader_.follow(*node, node_name_);
    auto text = name ? reader_.text_at(*name, kNameLimit, node_name_.name) : std::nullopt;
    if (!text) return std::nullopt;
    names.push_back(std::move(*text));
    node = *parent;
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path += "/" + *name;
  if (path.empty()) path = "/";
  if ((*flags & kOnline) == 0) path += " (deleted)";  // cgroup_is_dead()
  return path;
}

std::optional<std::uint32_t> Cgroups::hierarchy(VirtAddr cgroup) const {
  const auto root = reader_.follow(cgroup, root_);
  return root ? reader_.get(*root, hierarchy_) : std::nullopt;
}

std::optional<std::string> Cgroups::controller(std::uint64_t index) const {
  if (!subsystems_) return std::nullopt;
  const auto subsystem =
      reader_.pointer_at(*subsystems_ + index * sizeof(std::uint64_t), "cgroup_subsys");
  const auto name = subsystem ? reader_.follow(*subsystem, legacy_name_) : std::nullopt;
  return name ? reader_.text_at(*name, kNameLimit, legacy_name_.name) : std::nullopt;
}

// proc_cgroup_show() in kernel/cgroup/cgroup.c.
std::optional<std::string> Cgroups::controllers(VirtAddr cgroup) const {
  const auto root = reader_.follow(cgroup, root_);
  const auto id = root ? reader_.get(*root, hierarchy_) : std::nullopt;
  if (!id) return std::nullopt;
  if (*id == 0) return "";
  const auto bits = reader_.get(*root, controllers_);
  const auto name = reader_.text(*root, root_name_);
  if (!bits || !name) return std::nullopt;
  std::string text;
  for (std::uint64_t i = 0; i < kControllerBits; ++i) {
    if ((*bits >> i & 1U) == 0) continue;
    const auto one = controller(i);
    if (!one) return std::nullopt;
    text += (text.empty() ? "" : ",") + *one;
  }
  if (!name->empty()) text += (text.empty() ? "name=" : ",name=") + *name;
  return text;
}

std::optional<std::string_view> container_id(std::string_view path) {
  constexpr std::string_view kLxc = "lxc.payload.";
  std::optional<std::string_view> found;
  for (std::size_t at = 0; at < path.size();) {
    const auto first =
        std::find_if(path.begin() + static_cast<std::ptrdiff_t>(at), path.end(), is_hexadecimal);
    const auto last = std::find_if_not(first, path.end(), is_hexadecimal);
    const auto begin = static_cast<std::size_t>(first - path.begin());
    at = static_cast<std::size_t>(last - path.begin());
    if (at - begin == kIdLength) found = path.substr(begin, kIdLength);
  }
  if (found) return found;
  const auto lxc = path.rfind(kLxc);
  if (lxc == std::string_view::npos) return std::nullopt;
  const auto name = path.substr(lxc + kLxc.size());
  return name.substr(0, name.find('/'));
}

}  // namespace engram::kernel
