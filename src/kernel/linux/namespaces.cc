// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/namespaces.h"

#include <string_view>

#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

struct Place {
  NamespaceKind kind;
  std::string_view member;  ///< of nsproxy; empty if it is elsewhere
  std::string_view structure;
};
constexpr Place kPlaces[] = {
    {NamespaceKind::cgroup, "cgroup_ns", "cgroup_namespace"},
    {NamespaceKind::ipc, "ipc_ns", "ipc_namespace"},
    {NamespaceKind::mount, "mnt_ns", "mnt_namespace"},
    {NamespaceKind::network, "net_ns", "net"},
    {NamespaceKind::pid, "", "pid_namespace"},
    {NamespaceKind::pid_for_children, "pid_ns_for_children", "pid_namespace"},
    {NamespaceKind::time, "time_ns", "time_namespace"},
    {NamespaceKind::time_for_children, "time_ns_for_children", "time_namespace"},
    {NamespaceKind::user, "", "user_namespace"},
    {NamespaceKind::uts, "uts_ns", "uts_namespace"},
};

}  // namespace

Namespaces::Namespaces(LinuxKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout task(types, diagnostics, "task_struct");
  nsproxy_ = task.field<VirtAddr>("nsproxy");
  real_cred_ = task.field<VirtAddr>("real_cred");
  user_ = Layout(types, diagnostics, "cred").field<VirtAddr>("user_ns");
  number_namespace_ = Layout(types, diagnostics, "upid").field<VirtAddr>("ns");
  const Layout nsproxy(types, diagnostics, "nsproxy");
  for (const auto& place : kPlaces) {
    const auto kind = static_cast<std::size_t>(place.kind);
    // Kernels may be built without some of them: CONFIG_TIME_NS for one.
    if (!types.find_struct(place.structure)) continue;
    inode_[kind] =
        Layout(types, diagnostics, place.structure).optional_field<std::uint32_t>("ns.inum");
    if (!place.member.empty()) in_nsproxy_[kind] = nsproxy.optional_field<VirtAddr>(place.member);
  }
}

// ns_of_pid() in include/linux/pid.h: the innermost one that the task has a number in.
std::optional<VirtAddr> Namespaces::pid_namespace(VirtAddr task) const {
  const auto numbers = kernel_.tasks().numbers(task);
  return numbers.empty() ? std::nullopt : reader_.follow(numbers.back(), number_namespace_);
}

std::optional<VirtAddr> Namespaces::of_task(VirtAddr task, NamespaceKind kind) const {
  if (kind == NamespaceKind::pid) return pid_namespace(task);
  if (kind == NamespaceKind::user) {
    const auto credentials = reader_.follow(task, real_cred_);
    return credentials ? reader_.follow(*credentials, user_) : std::nullopt;
  }
  const auto all = reader_.follow(task, nsproxy_);
  return all ? reader_.follow(*all, in_nsproxy_[static_cast<std::size_t>(kind)]) : std::nullopt;
}

std::optional<std::uint32_t> Namespaces::inode(VirtAddr name_space, NamespaceKind kind) const {
  return reader_.get(name_space, inode_[static_cast<std::size_t>(kind)]);
}

}  // namespace engram::kernel
