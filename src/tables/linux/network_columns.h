// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Columns that the tables of interfaces, addresses, neighbours and routes have in common.

#include <optional>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_interface.h"
#include "tables/table.h"

namespace engram::tables {

// Tables are opened only when there is a kernel.
inline kernel::LinuxKernel& kernel_of(kernel::Session& session) {
  return **session.linux_kernel();
}
inline const kernel::NetworkInterfaces& interfaces_of(kernel::Session& session) {
  return kernel_of(session).network_interfaces();
}

/// What NetworkInterfaces reads of a device; NULL without one.
template <auto member>
Value of_device(std::optional<VirtAddr> device, kernel::Session& session) {
  if (!device) return Null{};
  return cell((interfaces_of(session).*member)(*device));
}

/// Inode number of a network namespace.
inline Value namespace_number(std::optional<VirtAddr> net, kernel::Session& session) {
  return net ? cell(interfaces_of(session).namespace_inode(*net)) : Null{};
}

/// RT_SCOPE_*, include/uapi/linux/rtnetlink.h.
Value scope_name(std::optional<std::uint32_t> scope);

inline Value family_name(bool is_ipv6) {
  return cell(is_ipv6 ? "ipv6" : "ipv4");
}

}  // namespace engram::tables
