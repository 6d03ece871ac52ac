// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Control groups: in which each task is.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

class Cgroups {
 public:
  explicit Cgroups(LinuxKernel& kernel);

  /// False if the kernel is built without them.
  [[nodiscard]] bool are_known() const { return css_set_ && default_; }

  /// The struct cgroups of a task: one in each hierarchy, the unified one (version 2) first.
  [[nodiscard]] std::vector<VirtAddr> of_task(VirtAddr task) const;

  // Nothing: the member cannot be read.

  /// From the root of the hierarchy as /proc/PID/cgroup shows it to a reader in the initial cgroup
  /// namespace, with " (deleted)" also in hierarchies of version 1.
  [[nodiscard]] std::optional<std::string> path(VirtAddr cgroup) const;
  /// 0 for the unified hierarchy.
  [[nodiscard]] std::optional<std::uint32_t> hierarchy(VirtAddr cgroup) const;
  /// Second field of /proc/PID/cgroup: names of controllers, name=NAME; empty for the unified one.
  [[nodiscard]] std::optional<std::string> controllers(VirtAddr cgroup) const;

 private:
  [[nodiscard]] std::optional<std::string> controller(std::uint64_t index) const;

  const Reader& reader_;
  Field<VirtAddr> css_set_, default_, link_cgroup_, node_, root_, node_parent_, node_name_;
  Field<VirtAddr> legacy_name_;
  Field<std::uint32_t> css_flags_, hierarchy_, controllers_;
  TextField root_name_;
  std::optional<std::uint64_t> links_, link_node_;
  std::optional<VirtAddr> subsystems_;  ///< symbol cgroup_subsys: pointers to struct cgroup_subsys
};

/// The identifier of a container in the path of a control group: the last 64 hexadecimal digits in
/// a row (Docker, containerd, CRI-O, Podman and others), or the NAME of lxc.payload.NAME.
[[nodiscard]] std::optional<std::string_view> container_id(std::string_view path);

}  // namespace engram::kernel
