// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/socket_columns.h"

#include <string>

#include "kernel/linux/linux_kernel.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::Socket;
using kernel::Sockets;

Value source(const Socket& socket, Session&) {
  if (socket.in_hash && socket.in_files) return cell("both");
  return cell(socket.in_hash ? "hash" : "file");
}

Value first_holder(const Socket& socket, Session& session) {
  const auto pids = sockets_of(session).holders(socket);
  return pids.empty() ? Null{} : cell(pids.front());
}

Value holders(const Socket& socket, Session& session) {
  std::string text;
  for (const auto pid : sockets_of(session).holders(socket)) {
    text += (text.empty() ? "" : " ") + std::to_string(pid);
  }
  return text.empty() ? Null{} : cell(text);
}

}  // namespace

const kernel::Sockets& sockets_of(kernel::Session& session) {
  return (*session.linux_kernel())->sockets();
}

bool is_connection(const Socket& socket) {
  using kernel::SocketKind;
  return socket.kind == SocketKind::tcp || socket.kind == SocketKind::udp ||
         socket.kind == SocketKind::udplite;
}

Value socket_address(const Socket& socket, Session&) {
  return cell(socket.address);
}

Value socket_state(const Socket& socket, Session& session) {
  const auto state = sockets_of(session).state(socket);
  return state ? cell(kernel::socket_state_name(*state)) : Null{};
}

void add_common_columns(std::vector<Column<Socket>>& columns) {
  using kernel::SocketQueues;
  const std::vector<Column<Socket>> common{
      {{"namespace", Type::integer, "Inode number of its network namespace, as lsns shows it."},
       socket_value<&Sockets::net_namespace>},
      {{"tx_queue", Type::integer,
        "Bytes sent and not yet acknowledged (TCP) or delivered, as /proc/net shows them; NULL for "
        "sockets in TIME_WAIT and unfinished handshakes."},
       queue<&SocketQueues::transmit>},
      {{"rx_queue", Type::integer,
        "Bytes received and not yet read; of a listening TCP socket, connections not yet accepted. "
        "NULL as for tx_queue, and for unix sockets, where the sender is charged."},
       queue<&SocketQueues::receive>},
      {{"backlog", Type::integer,
        "The greatest number of connections that may wait to be accepted; NULL unless it listens."},
       socket_value<&Sockets::backlog_limit>},
      {{"uid", Type::integer,
        "User who made it; of an unfinished handshake, who listens. NULL in TIME_WAIT."},
       socket_value<&Sockets::uid>},
      {{"interface_index", Type::integer,
        "Network interface that it is bound to; NULL if it is bound to none."},
       socket_value<&Sockets::interface_index>},
      {{"pid", Type::integer, "The lowest of pids."}, first_holder},
      {{"pids", Type::text,
        "Processes that have it open, blank-separated; NULL if none has: then it is the kernel's "
        "own, closed, not yet accepted, or in flight between processes."},
       holders},
      {{"file", Type::pointer, "Its open struct file; NULL if there is none."},
       socket_value<&Sockets::file>},
      {{"source", Type::text,
        "`both`; `hash`: only a table of the kernel has it; `file`: only a process has it: "
        "somebody hides it, or it is in no table yet (TCP until it listens or connects; UDP, ping "
        "and netlink until they are bound). SCTP, MPTCP and the families alg, xdp, tipc, can ... "
        "are read from "
        "the files only: always `file`."},
       source},
  };
  columns.insert(columns.end(), common.begin(), common.end());
}

Result<Rows<Socket>> socket_rows(Session& session, std::span<const KeyValue> values,
                                 std::size_t address_column,
                                 const std::function<bool(const Socket&)>& wanted) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& sockets = kernel->sockets();
  for (const auto& key : values) {
    const auto* address = std::get_if<std::int64_t>(&key.value);
    if (key.column != address_column || !address) continue;
    const auto* found = sockets.find(VirtAddr(static_cast<std::uint64_t>(*address)));
    return rows_of(found && wanted(*found) ? std::vector{*found} : std::vector<Socket>());
  }
  return [&all = sockets.all(), wanted,
          at = std::size_t{0}]() mutable -> Result<std::optional<Socket>> {
    while (at < all.size() && !wanted(all[at])) ++at;
    return at == all.size() ? std::optional<Socket>() : std::optional(all[at++]);
  };
}

}  // namespace engram::tables
