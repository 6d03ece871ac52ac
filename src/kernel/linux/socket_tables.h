// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's own tables of sockets: where /proc/net and ss take them from.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "kernel/linux/containers.h"
#include "kernel/linux/hash_chains.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

enum class SocketKind : std::uint8_t {
  tcp,
  udp,
  udplite,
  raw,   ///< SOCK_RAW of IPv4 and IPv6
  ping,  ///< SOCK_DGRAM of ICMP and ICMPv6
  unix_domain,
  packet,
  netlink,
  vsock,
  bluetooth,
  other,
};

/// What object stands for the socket. The two lesser ones are smaller than a struct sock, and have
/// neither owner nor queues.
enum class SocketShape : std::uint8_t {
  full,       ///< struct sock
  time_wait,  ///< struct inet_timewait_sock: TIME_WAIT, and FIN_WAIT2 of a closed socket
  request,    ///< struct request_sock: a handshake that is not finished
};

struct ListedSocket {
  VirtAddr address;
  SocketKind kind = SocketKind::other;
  SocketShape shape = SocketShape::full;
};

/// struct vsock_sock lies in a module, and its type often with it: its first members behind the
/// struct sock have been these since 5.5 (c0cfa2d8a788).
struct VsockLayout {
  std::uint64_t local = 0, remote = 0;                 ///< struct sockaddr_vm
  std::uint64_t bound = 0, connected = 0;              ///< struct list_head
  static constexpr std::uint64_t kPort = 4, kCid = 8;  ///< in struct sockaddr_vm, 32 bits each

  explicit VsockLayout(std::uint64_t sock_size)
      : local(sock_size + 8), remote(local + 16), bound(remote + 16), connected(bound + 16) {}
};

/// Walks every table of every network namespace, once.
class SocketTables {
 public:
  explicit SocketTables(LinuxKernel& kernel);

  /// Each socket once, in the order of the tables. A table that this kernel does not have has no
  /// sockets.
  [[nodiscard]] std::vector<ListedSocket> read();

  /// The network namespaces (struct net).
  [[nodiscard]] const std::vector<VirtAddr>& namespaces() const { return namespaces_; }

 private:
  void add(VirtAddr sock, SocketKind kind);
  void read_tcp(VirtAddr hashinfo);
  void read_udp(VirtAddr table, SocketKind kind);
  void read_raw();
  void read_ping();
  void read_unix();
  void read_packet();
  void read_netlink();
  void read_vsock();
  void read_bluetooth();
  void add_chains(std::string_view what, VirtAddr first, std::uint64_t count, std::uint64_t stride,
                  std::optional<std::uint64_t> node_offset, SocketKind kind);
  /// Where a member lies that only some kernels have.
  [[nodiscard]] std::optional<std::uint64_t> offset_in(std::string_view structure,
                                                       std::string_view member) const;
  /// The tables that a symbol and the namespaces' pointers name, each once.
  std::set<VirtAddr> tables_of(std::string_view symbol, const Field<VirtAddr>& in_namespace) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  std::map<std::string_view, HashChains> walkers_;
  std::vector<VirtAddr> namespaces_;
  Field<std::uint8_t> state_;
  std::optional<std::uint64_t> node_;
  std::vector<ListedSocket> found_;
  std::unordered_set<VirtAddr> seen_;
  std::unordered_set<VirtAddr> listening_;  ///< tables of listening sockets
};

}  // namespace engram::kernel
