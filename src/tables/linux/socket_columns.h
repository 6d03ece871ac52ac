// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Columns that the tables of sockets have in common.

#include <functional>
#include <vector>

#include "kernel/linux/socket.h"
#include "tables/table.h"

namespace engram::tables {

/// The Sockets of a session. Tables are opened only when there is a kernel.
[[nodiscard]] const kernel::Sockets& sockets_of(kernel::Session& session);

/// A column that is one value which Sockets reads.
template <auto member>
Value socket_value(const kernel::Socket& socket, kernel::Session& session) {
  return cell((sockets_of(session).*member)(socket));
}

/// A part of one of the two ends.
template <auto end, auto part>
Value endpoint(const kernel::Socket& socket, kernel::Session& session) {
  return cell((sockets_of(session).*end)(socket).*part);
}

template <auto part>
Value queue(const kernel::Socket& socket, kernel::Session& session) {
  return cell(sockets_of(session).queues(socket).*part);
}

/// Whether a socket is a row of network_connections; all others are rows of sockets.
bool is_connection(const kernel::Socket& socket);

Value socket_address(const kernel::Socket& socket, kernel::Session& session);
Value socket_state(const kernel::Socket& socket, kernel::Session& session);

/// Namespace, owner, queues, and what the sources are: the last columns of each table.
void add_common_columns(std::vector<Column<kernel::Socket>>& columns);

/// The sockets that `wanted` chooses; only the one at a virtual_address that the query fixes.
/// `address_column` is that column's number.
Result<Rows<kernel::Socket>> socket_rows(kernel::Session& session, std::span<const KeyValue> values,
                                         std::size_t address_column,
                                         const std::function<bool(const kernel::Socket&)>& wanted);

}  // namespace engram::tables
