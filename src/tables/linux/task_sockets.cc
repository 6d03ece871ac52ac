// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/linux_kernel.h"
#include "tables/linux/socket_columns.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::SocketDescriptor;

template <auto member>
Value value(const SocketDescriptor& descriptor, Session&) {
  return cell(descriptor.*member);
}

const std::vector<Column<SocketDescriptor>>& columns() {
  static const std::vector<Column<SocketDescriptor>> list{
      {{"task", Type::pointer, "The task_struct of the first thread of the process."},
       value<&SocketDescriptor::task>},
      {{"tgid", Type::integer, "Number of the process."}, value<&SocketDescriptor::pid>},
      {{"fd", Type::integer, "Number of the descriptor."}, value<&SocketDescriptor::number>},
      {{"socket", Type::pointer,
        "The struct sock: virtual_address in network_connections or in sockets."},
       value<&SocketDescriptor::sock>},
      {{"file", Type::pointer, "The open struct file."}, value<&SocketDescriptor::file>},
      {{"file_table", Type::pointer, "The files_struct that has the descriptor."},
       value<&SocketDescriptor::file_table>},
  };
  return list;
}

Result<Rows<SocketDescriptor>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return [&all = kernel->sockets().descriptors(),
          at = std::size_t{0}]() mutable -> Result<std::optional<SocketDescriptor>> {
    return at == all.size() ? std::optional<SocketDescriptor>() : std::optional(all[at++]);
  };
}

}  // namespace

const Table& task_sockets_table() {
  static const DataTable<SocketDescriptor> table(
      "task_sockets",
      "Descriptors that are sockets: which process has which socket open. A descriptor of a file "
      "table that several processes share is listed for each of them.",
      200, columns(), open);
  return table;
}

}  // namespace engram::tables
