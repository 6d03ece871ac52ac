// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/kernel_space.h"

#include "kernel/foreign.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/windows/windows_kernel.h"

namespace engram::kernel {

Result<paging::AddressSpace> space_of(Session& session, std::optional<PhysAddr> root) {
  const auto linux_kernel = session.linux_kernel();
  if (linux_kernel) return root ? (*linux_kernel)->space_at(*root) : (*linux_kernel)->space();
  const auto windows = session.windows_kernel();
  if (!windows && foreign_kernel(session.image().facts())) {
    return stated_space(session.image(), root);
  }
  if (!windows) return tl::unexpected(linux_kernel.error());
  if (!root) return (*windows)->space();
  ENGRAM_CHECK((*windows)->require_whole_memory("a root of page tables"));
  return (*windows)->space_at(*root);
}

}  // namespace engram::kernel
