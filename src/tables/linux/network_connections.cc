// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/socket_columns.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::Socket;
using kernel::SocketEndpoint;
using kernel::SocketKind;
using kernel::Sockets;

Value protocol(const Socket& socket, Session&) {
  if (socket.kind == SocketKind::tcp) return cell("tcp");
  return cell(socket.kind == SocketKind::udp ? "udp" : "udplite");
}

Value type(const Socket& socket, Session& session) {
  const auto family = sockets_of(session).family(socket);
  if (family == 2) return cell("ipv4");
  return family == 10 ? cell("ipv6") : Null{};
}

const std::vector<Column<Socket>>& columns() {
  static const auto list = [] {
    std::vector<Column<Socket>> all{
        {{"virtual_address", Type::pointer,
          "The struct sock (in TIME_WAIT inet_timewait_sock, in NEW_SYN_RECV request_sock): the "
          "key to join on.",
          false, true},
         socket_address},
        {{"protocol", Type::text,
          "`tcp`, `udp` or `udplite`; compared without case: `protocol = 'TCP'` finds `tcp`.",
          false, false, true},
         protocol},
        {{"state", Type::text,
          "As /proc/net/tcp shows it: `established`, `syn_sent`, `syn_recv`, `fin_wait1`, "
          "`fin_wait2`, `time_wait`, `close`, `close_wait`, `last_ack`, `listen`, `closing`; and "
          "`new_syn_recv` for an unfinished handshake, which /proc shows as SYN_RECV. UDP: "
          "`established` if connected, else `close`."},
         socket_state},
        {{"type", Type::text, "`ipv4` or `ipv6`: the family of the socket."}, type},
        {{"local_address", Type::text, "`0.0.0.0` or `::` while bound to all addresses."},
         endpoint<&Sockets::local, &SocketEndpoint::address>},
        {{"local_port", Type::integer, "0 if not bound."},
         endpoint<&Sockets::local, &SocketEndpoint::port>},
        {{"remote_address", Type::text, "The other side; NULL if not connected."},
         endpoint<&Sockets::remote, &SocketEndpoint::address>},
        {{"remote_port", Type::integer, "Port of the other side; NULL if not connected."},
         endpoint<&Sockets::remote, &SocketEndpoint::port>},
        {{"inode", Type::integer,
          "Inode number as in /proc/PID/fd; NULL if it has none: closed, or not yet accepted."},
         socket_value<&Sockets::inode>},
    };
    add_common_columns(all);
    return all;
  }();
  return list;
}

}  // namespace

const Table& network_connections_table() {
  static const DataTable<Socket> table(
      "network_connections",
      "TCP, UDP and UDP-Lite sockets of all network namespaces in every state, each once, from the "
      "kernel's hash tables and from the file tables: `source` says which of them have it.",
      200, columns(), [](Session& session, std::span<const KeyValue> keys) {
        return socket_rows(session, keys, 0, is_connection);
      });
  return table;
}

}  // namespace engram::tables
