// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/socket_files.h"

#include <fmt/core.h>

#include "kernel/linux/file_table.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kSocketLimit = 1U << 22U;
constexpr std::uint16_t kTypeMask = 0170000, kSocketType = 0140000;  // S_IFMT, S_IFSOCK

}  // namespace

std::vector<SocketDescriptor> read_socket_descriptors(LinuxKernel& kernel) {
  const auto& reader = kernel.reader();
  const auto mode =
      Layout(kernel.types(), reader.diagnostics(), "inode").field<std::uint16_t>("i_mode");
  const Layout layout(kernel.types(), reader.diagnostics(), "socket");
  const auto sock_of_socket = layout.field<VirtAddr>("sk");
  const auto file_of_socket = layout.field<VirtAddr>("file");
  const auto& tables = kernel.file_tables();
  // The operations of a file would tell, too, but they can be replaced by others. A socket in a
  // file system that was opened with O_PATH has no struct socket.
  const auto socket_of = [&](VirtAddr file) -> std::optional<VirtAddr> {
    const auto inode = tables.inode(file);
    const auto bits = inode ? reader.get(*inode, mode) : std::nullopt;
    if (!bits || (*bits & kTypeMask) != kSocketType) return std::nullopt;
    const auto socket = tables.private_data(file);
    return socket && reader.get(*socket, file_of_socket) == file ? socket : std::nullopt;
  };
  std::vector<SocketDescriptor> descriptors;
  for (const auto& table : tables.all()) {
    for (const auto& descriptor : tables.descriptors(table)) {
      const auto socket = socket_of(descriptor.file);
      const auto sock = socket ? reader.follow(*socket, sock_of_socket) : std::nullopt;
      if (!sock) continue;
      for (const auto& user : table.users) {
        if (descriptors.size() == kSocketLimit) {
          reader.report("files_struct", table.address,
                        fmt::format("more than {} descriptors of sockets", kSocketLimit));
          return descriptors;
        }
        descriptors.push_back({*sock, *socket, user.tgid});
      }
    }
  }
  return descriptors;
}

}  // namespace engram::kernel
