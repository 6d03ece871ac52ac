// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/socket.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"
#include "kernel/linux/socket_files.h"

namespace engram::kernel {
namespace {

// As the guest's kernel numbers them, which is no matter of the host.
constexpr std::uint16_t kUnix = 1, kNetlink = 16, kPacket = 17, kBluetooth = 31, kVsock = 40;
constexpr std::uint16_t kStream = 1, kDatagram = 2, kRaw = 3;
constexpr std::uint16_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58, kUdplite = 136;
constexpr std::uint8_t kListen = 10;
constexpr std::int32_t kFamilyBytes = 2;  // sockaddr_un.sun_family
// sizeof(struct sockaddr_un), and the NUL that bind(2) adds to a path of full length.
constexpr std::int32_t kUnixNameLimit = 111;
constexpr std::uint32_t kAnyVsock = 0xffffffff;  // VMADDR_CID_ANY, VMADDR_PORT_ANY

std::uint16_t from_network(std::uint16_t value) {
  return static_cast<std::uint16_t>(value << 8U | value >> 8U);
}

}  // namespace

std::optional<std::string_view> socket_state_name(std::uint8_t state) {
  constexpr std::array<std::string_view, 12> kNames = {
      "established", "syn_sent",   "syn_recv", "fin_wait1", "fin_wait2", "time_wait",
      "close",       "close_wait", "last_ack", "listen",    "closing",   "new_syn_recv"};
  if (state == 0 || state > kNames.size()) return std::nullopt;
  return kNames[state - 1U];
}

Sockets::Sockets(LinuxKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  const auto& types = kernel.types();
  auto& diagnostics = reader_.diagnostics();
  const Layout common(types, diagnostics, "sock_common");
  family_ = common.field<std::uint16_t>("skc_family");
  state_ = common.field<std::uint8_t>("skc_state");
  local_port_ = common.field<std::uint16_t>("skc_num");
  remote_port_ = common.field<std::uint16_t>("skc_dport");
  interface_ = common.field<std::uint32_t>("skc_bound_dev_if");
  net_ = common.optional_field<VirtAddr>("skc_net.net");  // CONFIG_NET_NS
  first_net_ = kernel.symbols().address_of("init_net");
  listener_ = common.field<VirtAddr>("skc_listener");
  local4_ = common.offset_of("skc_rcv_saddr");
  remote4_ = common.offset_of("skc_daddr");
  local6_ = common.optional_offset_of("skc_v6_rcv_saddr");  // CONFIG_IPV6
  remote6_ = common.optional_offset_of("skc_v6_daddr");
  time_wait_state_ =
      Layout(types, diagnostics, "inet_timewait_sock").field<std::uint8_t>("tw_substate");
  namespace_inode_ = Layout(types, diagnostics, "net").field<std::uint32_t>("ns.inum");

  const Layout sock(types, diagnostics, "sock");
  if (sock.size()) vsock_.emplace(*sock.size());
  type_ = sock.field<std::uint16_t>("sk_type");
  protocol_ = sock.field<std::uint16_t>("sk_protocol");
  uid_ = sock.field<std::uint32_t>("sk_uid");
  backlog_ = sock.field<std::uint32_t>("sk_ack_backlog");
  backlog_limit_ = sock.field<std::uint32_t>("sk_max_ack_backlog");
  wmem_ = sock.field<std::uint32_t>("sk_wmem_alloc");
  rmem_ = sock.field<std::int32_t>("sk_backlog.rmem_alloc");
  socket_ = sock.field<VirtAddr>("sk_socket");
  file_ = Layout(types, diagnostics, "socket").field<VirtAddr>("file");
  inode_number_ = Layout(types, diagnostics, "inode").field<std::uint64_t>("i_ino");
  inode_in_socket_ = Layout(types, diagnostics, "socket_alloc").offset_of("vfs_inode");

  const Layout tcp(types, diagnostics, "tcp_sock");
  receive_next_ = tcp.field<std::uint32_t>("rcv_nxt");
  copied_ = tcp.field<std::uint32_t>("copied_seq");
  write_next_ = tcp.field<std::uint32_t>("write_seq");
  unacknowledged_ = tcp.field<std::uint32_t>("snd_una");
  udp_deficit_ = Layout(types, diagnostics, "udp_sock").field<std::int32_t>("forward_deficit");
  const Layout local(types, diagnostics, "unix_sock");
  unix_address_ = local.field<VirtAddr>("addr");
  unix_peer_ = local.field<VirtAddr>("peer");
  const Layout address(types, diagnostics, "unix_address");
  unix_length_ = address.field<std::int32_t>("len");
  unix_name_ = address.offset_of("name");
  const Layout netlink(types, diagnostics, "netlink_sock");
  netlink_port_ = netlink.field<std::uint32_t>("portid");
  netlink_remote_port_ = netlink.field<std::uint32_t>("dst_portid");
  netlink_groups_ = netlink.field<VirtAddr>("groups");
  const auto packet = Layout::of_optional(types, diagnostics, "packet_sock");  // CONFIG_PACKET
  packet_interface_ = packet.optional_field<std::uint32_t>("ifindex");
  packet_protocol_ = packet.optional_field<std::uint16_t>("num");
}

const Sockets::Index& Sockets::index() const {
  index_once_.call([this] {
    Index index;
    for (const auto& listed : SocketTables(kernel_).read()) {
      index.by_address.emplace(listed.address, index.sockets.size());
      index.sockets.push_back({listed.address, listed.kind, listed.shape, true, false});
    }
    for (const auto& open : read_socket_descriptors(kernel_)) {
      const auto [found, is_new] = index.by_address.emplace(open.sock, index.sockets.size());
      if (is_new) {
        index.sockets.push_back({open.sock, classify(open.sock), SocketShape::full, false, true});
      }
      index.sockets[found->second].in_files = true;
      index.holders[open.sock].push_back(open.pid);
      index.holders[open.socket].push_back(open.pid);
    }
    for (auto& [object, pids] : index.holders) {
      std::sort(pids.begin(), pids.end());
      pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
    }
    index_ = std::move(index);
  });
  return index_;
}

const std::vector<Socket>& Sockets::all() const {
  return index().sockets;
}

const Socket* Sockets::find(VirtAddr address) const {
  const auto found = index().by_address.find(address);
  return found == index().by_address.end() ? nullptr : &index().sockets[found->second];
}

// A subflow of MPTCP shares the struct socket of the connection that it is part of
// (mptcp_sock_graft() in net/mptcp/protocol.h, 5.12), which knows the connection only.
std::vector<std::int32_t> Sockets::holders(const Socket& socket) const {
  const auto& holders = index().holders;
  auto found = holders.find(socket.address);
  if (found == holders.end() && has_sock(socket)) {
    const auto shared = reader_.follow(socket.address, socket_);
    if (shared) found = holders.find(*shared);
  }
  return found == holders.end() ? std::vector<std::int32_t>() : found->second;
}

SocketKind Sockets::classify(VirtAddr sock) const {
  switch (reader_.get(sock, family_).value_or(0)) {
    case kUnix:
      return SocketKind::unix_domain;
    case kNetlink:
      return SocketKind::netlink;
    case kPacket:
      return SocketKind::packet;
    case kBluetooth:
      return SocketKind::bluetooth;
    case kVsock:
      return SocketKind::vsock;
    case kFamilyInet:
    case kFamilyInet6:
      break;
    default:
      return SocketKind::other;
  }
  const auto type = reader_.get(sock, type_);
  const auto protocol = reader_.get(sock, protocol_);
  if (type == kRaw) return SocketKind::raw;
  if (type == kStream && protocol == kTcp) return SocketKind::tcp;
  if (type != kDatagram) return SocketKind::other;
  if (protocol == kUdp) return SocketKind::udp;
  if (protocol == kUdplite) return SocketKind::udplite;
  return protocol == kIcmp || protocol == kIcmp6 ? SocketKind::ping : SocketKind::other;
}

std::optional<std::uint16_t> Sockets::type(const Socket& socket) const {
  if (!has_sock(socket)) return kStream;
  return reader_.get(socket.address, type_);
}

std::optional<std::uint32_t> Sockets::protocol(const Socket& socket) const {
  if (!has_sock(socket)) return kTcp;
  if (socket.kind == SocketKind::packet) {
    const auto ether_type = reader_.get(socket.address, packet_protocol_);
    return ether_type ? std::optional<std::uint32_t>(from_network(*ether_type)) : std::nullopt;
  }
  const auto protocol = reader_.get(socket.address, protocol_);
  return protocol ? std::optional<std::uint32_t>(*protocol) : std::nullopt;
}

std::optional<std::uint8_t> Sockets::state(const Socket& socket) const {
  const bool waits = socket.shape == SocketShape::time_wait;
  return reader_.get(socket.address, waits ? time_wait_state_ : state_);
}

SocketEndpoint Sockets::internet(const Socket& socket, bool remote) const {
  SocketEndpoint end;
  if (const auto port = reader_.get(socket.address, remote ? remote_port_ : local_port_)) {
    end.port = remote ? from_network(*port) : *port;
  }
  const bool six = family(socket) == kFamilyInet6;
  const auto place = remote ? (six ? remote6_ : remote4_) : (six ? local6_ : local4_);
  if (!place) return end;
  const auto read = remote ? read_ip_unless_zero : read_ip;
  end.address = read(reader_, socket.address + *place, six, "sock_common");
  if (remote && end.port == 0U) end.port.reset();
  return end;
}

SocketEndpoint Sockets::vsock(const Socket& socket, std::uint64_t place) const {
  const auto number = [&](std::uint64_t offset, const char* name) {
    return reader_.get(socket.address,
                       Field<std::uint32_t>{name, place + offset, sizeof(std::uint32_t)});
  };
  SocketEndpoint end;
  const auto cid = number(VsockLayout::kCid, "sockaddr_vm.svm_cid");
  if (cid) end.address = *cid == kAnyVsock ? "*" : fmt::format("{}", *cid);
  end.port = number(VsockLayout::kPort, "sockaddr_vm.svm_port");
  if (end.port == kAnyVsock) end.port.reset();
  return end;
}

// unix_seq_show() in net/unix/af_unix.c: a name without a path has a NUL in front, and may have
// more of them; they are shown as @.
std::optional<std::string> Sockets::unix_name(VirtAddr sock) const {
  const auto address = reader_.follow(sock, unix_address_);
  const auto length = address ? reader_.get(*address, unix_length_) : std::nullopt;
  if (!length || !unix_name_) return std::nullopt;
  if (*length < kFamilyBytes || *length > kUnixNameLimit) {
    reader_.report(
        unix_length_.name, *address,
        fmt::format("{} bytes, {} to {} expected", *length, kFamilyBytes, kUnixNameLimit));
    return std::nullopt;
  }
  std::string name(static_cast<std::size_t>(*length - kFamilyBytes), '\0');
  const auto bytes = std::as_writable_bytes(std::span(name.data(), name.size()));
  const VirtAddr from = *address + *unix_name_ + std::uint64_t{kFamilyBytes};
  if (const auto read = reader_.space().read_exact(from, bytes); !read) {
    reader_.report("unix_address.name", *address, paging::to_string(read.error()));
    return std::nullopt;
  }
  if (name.empty()) return std::nullopt;
  if (name.front() != '\0') return name.substr(0, name.find('\0'));
  std::replace(name.begin(), name.end(), '\0', '@');
  return name;
}

bool Sockets::is_internet(const Socket& socket) const {
  switch (socket.kind) {
    case SocketKind::tcp:
    case SocketKind::udp:
    case SocketKind::udplite:
    case SocketKind::raw:
    case SocketKind::ping:
      return true;
    case SocketKind::other: {  // SCTP, MPTCP, DCCP
      const auto number = family(socket);
      return number == kFamilyInet || number == kFamilyInet6;
    }
    default:
      return false;
  }
}

SocketEndpoint Sockets::local(const Socket& socket) const {
  if (is_internet(socket)) return internet(socket, false);
  if (socket.kind == SocketKind::unix_domain) return {unix_name(socket.address), std::nullopt};
  if (socket.kind == SocketKind::netlink) {
    return {std::nullopt, reader_.get(socket.address, netlink_port_)};
  }
  if (socket.kind == SocketKind::vsock && vsock_) return vsock(socket, vsock_->local);
  return {};
}

SocketEndpoint Sockets::remote(const Socket& socket) const {
  if (is_internet(socket)) return internet(socket, true);
  if (const auto other = peer(socket)) return {unix_name(*other), std::nullopt};
  if (socket.kind == SocketKind::netlink) {
    const auto port = reader_.get(socket.address, netlink_remote_port_);
    return {std::nullopt, port == 0U ? std::nullopt : port};
  }
  if (socket.kind != SocketKind::vsock || !vsock_) return {};
  auto end = vsock(socket, vsock_->remote);
  return end.address == "*" ? SocketEndpoint{} : end;
}

std::optional<VirtAddr> Sockets::peer(const Socket& socket) const {
  if (socket.kind != SocketKind::unix_domain) return std::nullopt;
  return reader_.follow(socket.address, unix_peer_);
}

std::optional<std::uint32_t> Sockets::interface_index(const Socket& socket) const {
  const bool packet = socket.kind == SocketKind::packet;
  const auto index = reader_.get(socket.address, packet ? packet_interface_ : interface_);
  return index == 0U ? std::nullopt : index;
}

std::optional<std::uint32_t> Sockets::net_namespace(const Socket& socket) const {
  const auto net = net_ ? reader_.follow(socket.address, net_) : first_net_;
  return net ? reader_.get(*net, namespace_inode_) : std::nullopt;
}

// sock_i_ino() in include/net/sock.h: the inode lies behind the struct socket.
std::optional<std::uint64_t> Sockets::inode(const Socket& socket) const {
  const auto owner = has_sock(socket) ? reader_.follow(socket.address, socket_) : std::nullopt;
  if (!owner || !inode_in_socket_) return std::nullopt;
  return reader_.get(*owner + *inode_in_socket_, inode_number_);
}

std::optional<VirtAddr> Sockets::file(const Socket& socket) const {
  const auto owner = has_sock(socket) ? reader_.follow(socket.address, socket_) : std::nullopt;
  return owner ? reader_.follow(*owner, file_) : std::nullopt;
}

std::optional<std::uint32_t> Sockets::uid(const Socket& socket) const {
  if (has_sock(socket)) return reader_.get(socket.address, uid_);
  if (socket.shape == SocketShape::time_wait) return std::nullopt;
  const auto listener = reader_.follow(socket.address, listener_);
  return listener ? reader_.get(*listener, uid_) : std::nullopt;
}

// get_tcp4_sock() in net/ipv4/tcp_ipv4.c, udp4_format_sock() in net/ipv4/udp.c.
SocketQueues Sockets::queues(const Socket& socket) const {
  SocketQueues queues;
  if (!has_sock(socket)) return queues;
  const auto sock = socket.address;
  if (socket.kind == SocketKind::tcp) {
    const auto written = reader_.get(sock, write_next_);
    const auto acknowledged = reader_.get(sock, unacknowledged_);
    if (written && acknowledged) queues.transmit = *written - *acknowledged;
    if (state(socket) == kListen) {
      queues.receive = reader_.get(sock, backlog_);
      return queues;
    }
    const auto received = reader_.get(sock, receive_next_);
    const auto copied = reader_.get(sock, copied_);
    // After a FIN was read the difference is -1.
    if (received && copied) {
      queues.receive =
          static_cast<std::uint32_t>(std::max(0, std::bit_cast<std::int32_t>(*received - *copied)));
    }
    return queues;
  }
  // One is counted for the socket itself, as long as it is not freed.
  if (const auto allocated = reader_.get(sock, wmem_)) {
    queues.transmit = *allocated - std::min(*allocated, 1U);
  }
  // What waits in a unix socket is charged to the sender.
  if (socket.kind == SocketKind::unix_domain) return queues;
  const bool counts_deficit = socket.kind == SocketKind::udp || socket.kind == SocketKind::udplite;
  const auto charged = reader_.get(sock, rmem_);
  const auto deficit = counts_deficit ? reader_.get(sock, udp_deficit_) : std::optional(0);
  if (charged && deficit) {
    queues.receive =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::int64_t{*charged} - *deficit));
  }
  return queues;
}

std::optional<std::uint32_t> Sockets::backlog_limit(const Socket& socket) const {
  if (!has_sock(socket) || state(socket) != kListen) return std::nullopt;
  return reader_.get(socket.address, backlog_limit_);
}

std::optional<std::uint32_t> Sockets::netlink_groups(const Socket& socket) const {
  if (socket.kind != SocketKind::netlink) return std::nullopt;
  const auto groups = reader_.get(socket.address, netlink_groups_);
  if (!groups || !*groups) return groups ? std::optional(0U) : std::nullopt;
  return reader_.get(*groups, Field<std::uint32_t>{"netlink_sock.groups", 0, 4});
}

}  // namespace engram::kernel
