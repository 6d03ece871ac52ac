// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sockets of all families, from two independent sources: the kernel's tables and the file tables.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/lazy.h"
#include "kernel/linux/reader.h"
#include "kernel/linux/socket_tables.h"

namespace engram::kernel {

/// Which socket, and which sources have it. Everything else is read on demand by Sockets.
struct Socket {
  VirtAddr address;  ///< struct sock, inet_timewait_sock or request_sock
  SocketKind kind = SocketKind::other;
  SocketShape shape = SocketShape::full;
  bool in_hash = false;   ///< in a table of the kernel
  bool in_files = false;  ///< in a file table of a process
};

/// One side of a connection. Which of the two there are, and what they are, depends on the kind:
/// internet: address and port; vsock: context id and port; unix: path or @name, no port;
/// netlink: port id, no address; raw: the port is the IP protocol.
struct SocketEndpoint {
  std::optional<std::string> address;
  std::optional<std::uint32_t> port;
};

/// Bytes, as /proc/net shows them.
struct SocketQueues {
  std::optional<std::uint64_t> transmit, receive;
};

/// "established", "listen" ...: lower-case names of include/net/tcp_states.h, which most families
/// use; nothing for other numbers.
[[nodiscard]] std::optional<std::string_view> socket_state_name(std::uint8_t state);

class Sockets {
 public:
  explicit Sockets(LinuxKernel& kernel);

  /// Each socket once; those of the kernel's tables first.
  [[nodiscard]] const std::vector<Socket>& all() const;
  /// The socket at an address; nothing if neither source has it.
  [[nodiscard]] const Socket* find(VirtAddr address) const;
  /// The processes that hold it, in ascending order, each once.
  [[nodiscard]] std::vector<std::int32_t> holders(const Socket& socket) const;

  // Nothing: the member cannot be read, or this shape of socket does not have it.

  [[nodiscard]] std::optional<std::uint16_t> family(const Socket& socket) const {
    return reader_.get(socket.address, family_);
  }
  /// SOCK_*.
  [[nodiscard]] std::optional<std::uint16_t> type(const Socket& socket) const;
  /// As given to socket(2); for packet sockets the EtherType that they are bound to.
  [[nodiscard]] std::optional<std::uint32_t> protocol(const Socket& socket) const;
  /// As /proc shows it: a closed socket in FIN_WAIT2 is in FIN_WAIT2, not in TIME_WAIT.
  [[nodiscard]] std::optional<std::uint8_t> state(const Socket& socket) const;
  [[nodiscard]] SocketEndpoint local(const Socket& socket) const;
  /// Both parts are nothing while there is no other side.
  [[nodiscard]] SocketEndpoint remote(const Socket& socket) const;
  /// The struct sock at the other end of a unix socket.
  [[nodiscard]] std::optional<VirtAddr> peer(const Socket& socket) const;
  /// Index of the network interface that it is bound to; nothing for none.
  [[nodiscard]] std::optional<std::uint32_t> interface_index(const Socket& socket) const;
  /// Inode number of the network namespace.
  [[nodiscard]] std::optional<std::uint32_t> net_namespace(const Socket& socket) const;
  /// Number of the socket's inode; nothing for sockets without one (closed, or not accepted yet).
  [[nodiscard]] std::optional<std::uint64_t> inode(const Socket& socket) const;
  /// The open struct file.
  [[nodiscard]] std::optional<VirtAddr> file(const Socket& socket) const;
  /// Owner; of a request, that of the listening socket.
  [[nodiscard]] std::optional<std::uint32_t> uid(const Socket& socket) const;
  [[nodiscard]] SocketQueues queues(const Socket& socket) const;
  /// The greatest number of connections that wait for accept(2); nothing unless it listens.
  [[nodiscard]] std::optional<std::uint32_t> backlog_limit(const Socket& socket) const;
  /// Multicast groups 1 to 32 of a netlink socket, as bits.
  [[nodiscard]] std::optional<std::uint32_t> netlink_groups(const Socket& socket) const;

 private:
  struct Index {
    std::vector<Socket> sockets;
    std::unordered_map<VirtAddr, std::size_t> by_address;
    /// Of each struct sock, and of each struct socket.
    std::unordered_map<VirtAddr, std::vector<std::int32_t>> holders;
  };

  [[nodiscard]] const Index& index() const;
  [[nodiscard]] SocketKind classify(VirtAddr sock) const;
  [[nodiscard]] bool is_internet(const Socket& socket) const;
  [[nodiscard]] SocketEndpoint internet(const Socket& socket, bool remote) const;
  [[nodiscard]] SocketEndpoint vsock(const Socket& socket, std::uint64_t place) const;
  [[nodiscard]] std::optional<std::string> unix_name(VirtAddr sock) const;
  [[nodiscard]] bool has_sock(const Socket& socket) const {
    return socket.shape == SocketShape::full;
  }

  LinuxKernel& kernel_;
  const Reader& reader_;

  Field<std::uint16_t> family_, local_port_, remote_port_;
  Field<std::uint8_t> state_, time_wait_state_;
  Field<std::uint32_t> interface_, namespace_inode_;
  Field<VirtAddr> net_, listener_;
  std::optional<VirtAddr> first_net_;  ///< the only one in a kernel without namespaces
  std::optional<std::uint64_t> local4_, remote4_, local6_, remote6_;

  std::optional<VsockLayout> vsock_;
  Field<std::uint16_t> type_, protocol_;
  Field<std::uint32_t> uid_, backlog_, backlog_limit_, wmem_;
  Field<std::int32_t> rmem_, udp_deficit_;
  Field<VirtAddr> socket_, file_;
  Field<std::uint64_t> inode_number_;
  std::optional<std::uint64_t> inode_in_socket_;

  Field<std::uint32_t> receive_next_, copied_, write_next_, unacknowledged_;
  Field<VirtAddr> unix_address_, unix_peer_;
  Field<std::int32_t> unix_length_;
  std::optional<std::uint64_t> unix_name_;
  Field<std::uint32_t> netlink_port_, netlink_remote_port_, packet_interface_;
  Field<VirtAddr> netlink_groups_;
  Field<std::uint16_t> packet_protocol_;

  mutable Once index_once_;
  mutable Index index_;
};

}  // namespace engram::kernel
