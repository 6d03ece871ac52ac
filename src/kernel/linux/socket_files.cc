// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/socket_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

// Of all tables together: no machine has so many open, and a walk of damage ends in short time.
constexpr std::uint64_t kSlotLimit = 1U << 24U;
constexpr std::size_t kBlock = 512;  // pointers read at once
constexpr std::size_t kSocketLimit = 1U << 22U;
constexpr std::uint16_t kTypeMask = 0170000, kSocketType = 0140000;  // S_IFMT, S_IFSOCK

class SocketWalk {
 public:
  explicit SocketWalk(LinuxKernel& kernel) : reader_(kernel.reader()) {
    auto& diagnostics = reader_.diagnostics();
    const auto& types = kernel.types();
    fdt_ = Layout(types, diagnostics, "files_struct").field<VirtAddr>("fdt");
    const Layout table(types, diagnostics, "fdtable");
    count_ = table.field<std::uint32_t>("max_fds");
    files_ = table.field<VirtAddr>("fd");
    const Layout file(types, diagnostics, "file");
    inode_ = file.field<VirtAddr>("f_inode");
    private_data_ = file.field<VirtAddr>("private_data");
    mode_ = Layout(types, diagnostics, "inode").field<std::uint16_t>("i_mode");
    const Layout socket(types, diagnostics, "socket");
    sock_ = socket.field<VirtAddr>("sk");
    file_of_socket_ = socket.field<VirtAddr>("file");
  }

  std::vector<SocketDescriptor> sockets_of(VirtAddr file_table);

 private:
  [[nodiscard]] std::optional<VirtAddr> sock_of(VirtAddr file) const;

  const Reader& reader_;
  std::uint64_t slots_ = 0;
  Field<VirtAddr> fdt_, files_, inode_, private_data_, sock_, file_of_socket_;
  Field<std::uint32_t> count_;
  Field<std::uint16_t> mode_;
};

// The operations of a file would tell, too, but they can be replaced by others. A socket in a file
// system that was opened with O_PATH has no struct socket.
std::optional<VirtAddr> SocketWalk::sock_of(VirtAddr file) const {
  const auto inode = reader_.follow(file, inode_);
  const auto mode = inode ? reader_.get(*inode, mode_) : std::nullopt;
  if (!mode || (*mode & kTypeMask) != kSocketType) return std::nullopt;
  const auto socket = reader_.follow(file, private_data_);
  if (!socket || reader_.get(*socket, file_of_socket_) != file) return std::nullopt;
  return reader_.follow(*socket, sock_);
}

std::vector<SocketDescriptor> SocketWalk::sockets_of(VirtAddr file_table) {
  std::vector<SocketDescriptor> found;
  const auto table = reader_.follow(file_table, fdt_);
  const auto count = table ? reader_.get(*table, count_) : std::nullopt;
  const auto files = table ? reader_.follow(*table, files_) : std::nullopt;
  if (!count || !files) return found;
  if (*count > kSlotLimit - slots_) {
    reader_.report(count_.name, file_table,
                   fmt::format("a table of {} descriptors after {} in others, at most {} expected",
                               *count, slots_, kSlotLimit));
    return found;
  }
  slots_ += *count;
  std::uint64_t block[kBlock] = {};
  for (std::uint64_t first = 0; first < *count; first += kBlock) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, *count - first));
    const VirtAddr from = *files + first * sizeof(std::uint64_t);
    const auto bytes = std::as_writable_bytes(std::span(block).first(size));
    if (const auto read = reader_.space().read_exact(from, bytes); !read) {
      reader_.report(files_.name, file_table, paging::to_string(read.error()));
      continue;
    }
    for (std::size_t i = 0; i < size && found.size() < kSocketLimit; ++i) {
      const VirtAddr file(block[i]);
      const auto sock = file ? sock_of(file) : std::nullopt;
      if (sock) {
        found.push_back({*sock, file, file_table, static_cast<std::uint32_t>(first + i), {}, 0});
      }
    }
  }
  return found;
}

}  // namespace

std::vector<SocketDescriptor> read_socket_descriptors(LinuxKernel& kernel) {
  const auto& reader = kernel.reader();
  const Layout layout(kernel.types(), reader.diagnostics(), "task_struct");
  const auto files = layout.field<VirtAddr>("files");
  const auto group_leader = layout.field<VirtAddr>("group_leader");
  SocketWalk walk(kernel);
  std::unordered_map<VirtAddr, std::vector<SocketDescriptor>> tables;
  std::set<std::pair<VirtAddr, std::int32_t>> users;  // of each table: processes
  std::vector<SocketDescriptor> descriptors;
  const auto& tasks = kernel.tasks();
  for (const auto& list : {tasks.list(), tasks.pid_namespace()}) {
    if (!list) continue;
    for (const auto& task : **list) {
      const auto table = reader.follow(task.address, files);
      const auto pid = tasks.tgid(task.address);
      if (!table || !pid || !users.emplace(*table, *pid).second) continue;
      const auto [sockets, is_new] = tables.try_emplace(*table);
      if (is_new) sockets->second = walk.sockets_of(*table);
      const auto leader = reader.follow(task.address, group_leader).value_or(task.address);
      for (auto descriptor : sockets->second) {
        if (descriptors.size() == kSocketLimit) return descriptors;
        descriptor.task = leader;
        descriptor.pid = *pid;
        descriptors.push_back(descriptor);
      }
    }
  }
  return descriptors;
}

}  // namespace engram::kernel
