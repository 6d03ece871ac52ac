// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/names.h"
#include "tables/linux/socket_columns.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::Socket;
using kernel::SocketEndpoint;
using kernel::SocketKind;
using kernel::Sockets;

// AF_*, include/linux/socket.h.
Value family(const Socket& socket, Session& session) {
  static constexpr Name kNames[] = {
      {1, "unix"},    {2, "ipv4"},   {10, "ipv6"},  {15, "key"},  {16, "netlink"},
      {17, "packet"}, {24, "pppox"}, {29, "can"},   {30, "tipc"}, {31, "bluetooth"},
      {38, "alg"},    {39, "nfc"},   {40, "vsock"}, {41, "kcm"},  {42, "qipcrtr"},
      {43, "smc"},    {44, "xdp"},   {45, "mctp"},
  };
  return name_of(kNames, sockets_of(session).family(socket));
}

// SOCK_*, include/linux/net.h.
Value type(const Socket& socket, Session& session) {
  static constexpr Name kNames[] = {{1, "stream"},    {2, "dgram"}, {3, "raw"},    {4, "rdm"},
                                    {5, "seqpacket"}, {6, "dccp"},  {10, "packet"}};
  return name_of(kNames, sockets_of(session).type(socket));
}

// IPPROTO_*, NETLINK_* (include/uapi/linux/netlink.h) and ETH_P_*, as /proc/net/protocols, ss and
// ip call them.
Value protocol(const Socket& socket, Session& session) {
  static constexpr Name kInternet[] = {{1, "icmp"},   {2, "igmp"},   {6, "tcp"},    {17, "udp"},
                                       {33, "dccp"},  {41, "ipv6"},  {47, "gre"},   {50, "esp"},
                                       {51, "ah"},    {58, "icmp6"}, {89, "ospf"},  {103, "pim"},
                                       {132, "sctp"}, {255, "raw"},  {262, "mptcp"}};
  static constexpr Name kNetlink[] = {
      {0, "route"},       {2, "usersock"},       {3, "firewall"},
      {4, "sock_diag"},   {5, "nflog"},          {6, "xfrm"},
      {7, "selinux"},     {8, "iscsi"},          {9, "audit"},
      {10, "fib_lookup"}, {11, "connector"},     {12, "netfilter"},
      {13, "ip6_fw"},     {14, "dnrtmsg"},       {15, "kobject_uevent"},
      {16, "generic"},    {18, "scsitransport"}, {19, "ecryptfs"},
      {20, "rdma"},       {21, "crypto"},        {22, "smc"}};
  static constexpr Name kPacket[] = {{0x0003, "all"},   {0x0800, "ipv4"}, {0x0806, "arp"},
                                     {0x8100, "8021q"}, {0x86dd, "ipv6"}, {0x888e, "eapol"},
                                     {0x88cc, "lldp"}};
  const auto number = sockets_of(session).protocol(socket);
  switch (socket.kind) {
    case SocketKind::netlink:
      return name_of(kNetlink, number);
    case SocketKind::packet:
      return name_of(kPacket, number);
    case SocketKind::raw:
    case SocketKind::ping:
    case SocketKind::other:
      return name_of(kInternet, number);
    default:
      return Null{};
  }
}

Value state(const Socket& socket, Session& session) {
  // The numbers of Bluetooth are others; those of these families have no meaning.
  if (socket.kind == SocketKind::bluetooth || socket.kind == SocketKind::packet) return Null{};
  return socket_state(socket, session);
}

const std::vector<Column<Socket>>& columns() {
  static const auto list = [] {
    std::vector<Column<Socket>> all{
        {{"virtual_address", Type::pointer, "The struct sock: the key to join on.", false, true},
         socket_address},
        {{"family", Type::text,
          "`unix`, `netlink`, `packet`, `ipv4`, `ipv6` (raw and ping), `vsock`, `bluetooth` ...; "
          "the number of a family without a name."},
         family},
        {{"family_number", Type::integer, "AF_*: the number of family.", true},
         socket_value<&Sockets::family>},
        {{"type", Type::text, "`stream`, `dgram`, `raw`, `rdm`, `seqpacket`, `dccp` or `packet`."},
         type},
        {{"protocol", Type::text,
          "Name of protocol_number within the family; the number if it has no name, NULL where "
          "the family has one protocol only."},
         protocol},
        {{"protocol_number", Type::integer,
          "As given to socket(2); of packet sockets the EtherType that they are bound to."},
         socket_value<&Sockets::protocol>},
        {{"state", Type::text,
          "`established` (connected), `listen`, `close` (neither) ...; NULL for packet and "
          "bluetooth sockets."},
         state},
        {{"local_address", Type::text,
          "Unix: path, or name with @ in front; raw: IP address; vsock: context id, * for any. "
          "NULL if it has none."},
         endpoint<&Sockets::local, &SocketEndpoint::address>},
        {{"local_port", Type::integer,
          "Netlink: port id (often the pid); raw: IP protocol; vsock: port. NULL if it has none."},
         endpoint<&Sockets::local, &SocketEndpoint::port>},
        {{"remote_address", Type::text, "The other side's local_address; NULL if not connected."},
         endpoint<&Sockets::remote, &SocketEndpoint::address>},
        {{"remote_port", Type::integer, "The other side's local_port; NULL if not connected."},
         endpoint<&Sockets::remote, &SocketEndpoint::port>},
        {{"inode", Type::integer,
          "Inode number as in /proc/PID/fd; NULL if it has none: closed, or not yet accepted."},
         socket_value<&Sockets::inode>},
        {{"peer", Type::pointer,
          "Unix: the struct sock that it is connected to (its virtual_address); NULL if none."},
         socket_value<&Sockets::peer>},
        {{"groups", Type::integer, "Netlink: multicast groups 1 to 32 as bits; else NULL."},
         socket_value<&Sockets::netlink_groups>},
    };
    add_common_columns(all);
    return all;
  }();
  return list;
}

}  // namespace

const Table& sockets_table() {
  static const DataTable<Socket> table(
      "sockets",
      "Sockets other than those of network_connections, of all network namespaces, each once: "
      "unix, netlink, packet, raw, ping, vsock and bluetooth from the kernel's tables and from the "
      "file tables (`source` says which of them have it), all others from the file tables.",
      200, columns(), [](Session& session, std::span<const KeyValue> keys) {
        return socket_rows(session, keys, 0, std::not_fn(is_connection));
      });
  return table;
}

}  // namespace engram::tables
