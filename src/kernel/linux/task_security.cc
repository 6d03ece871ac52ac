// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/task_security.h"

namespace engram::kernel {

TaskSecurity::TaskSecurity(Reader reader, const types::TypeDb& types) : reader_(reader) {
  auto& diagnostics = reader_.diagnostics();
  const Layout task(types, diagnostics, "task_struct");
  credentials_ = task.field<VirtAddr>("real_cred");
  parent_ = task.field<VirtAddr>("parent");
  ptrace_ = task.field<std::uint32_t>("ptrace");
  // A kernel_cap_t is one number of 64 bits since f122a08b197d, 6.3; before, an array of two with
  // 32 bits, the lower ones first: the same bytes.
  const Layout cred(types, diagnostics, "cred");
  effective_ = cred.field<std::uint64_t>("cap_effective");
  permitted_ = cred.field<std::uint64_t>("cap_permitted");
  inheritable_ = cred.field<std::uint64_t>("cap_inheritable");
  bounding_ = cred.field<std::uint64_t>("cap_bset");
  ambient_ = cred.field<std::uint64_t>("cap_ambient");
}

CapabilitySets TaskSecurity::capabilities(VirtAddr task) const {
  const auto cred = reader_.follow(task, credentials_);
  if (!cred) return {};
  return {reader_.get(*cred, effective_), reader_.get(*cred, permitted_),
          reader_.get(*cred, inheritable_), reader_.get(*cred, bounding_),
          reader_.get(*cred, ambient_)};
}

// ptrace_parent() of include/linux/ptrace.h: a tracer is the parent as long as it traces.
std::optional<VirtAddr> TaskSecurity::tracer(VirtAddr task) const {
  const auto flags = ptrace_flags(task);
  return flags && *flags != 0 ? reader_.follow(task, parent_) : std::nullopt;
}

}  // namespace engram::kernel
