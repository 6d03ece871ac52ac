// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sockets that processes hold open: the second source, beside the kernel's own tables.

#include <cstdint>
#include <vector>

#include "base/units.h"

namespace engram::kernel {

class LinuxKernel;

/// A socket in a file table.
struct SocketDescriptor {
  VirtAddr sock;         ///< struct sock
  VirtAddr socket;       ///< struct socket that leads to it
  std::int32_t pid = 0;  ///< of a process that uses the table
};

/// Every descriptor of every process that is a socket, once for each process that uses its table.
[[nodiscard]] std::vector<SocketDescriptor> read_socket_descriptors(LinuxKernel& kernel);

}  // namespace engram::kernel
