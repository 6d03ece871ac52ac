// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/socket_tables.h"

#include <fmt/core.h>

#include <array>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"

namespace engram::kernel {
namespace {

constexpr std::uint8_t kTimeWait = 6, kNewSynRecv = 12;  // include/net/tcp_states.h
constexpr std::uint64_t kHead = 8;                       // struct hlist_head
// UNIX_HASH_SIZE, include/net/af_unix.h: 2 * 256 heads in all releases, no matter how it is spelt.
constexpr std::uint64_t kUnixHeads = 512;
constexpr std::uint64_t kNetlinkProtocols = 32;  // MAX_LINKS, include/uapi/linux/netlink.h
constexpr std::uint64_t kVsockHeads = 251;       // VSOCK_HASH_SIZE, net/vmw_vsock/af_vsock.c
constexpr std::size_t kVsockLimit = 1U << 20U;
constexpr std::uint64_t kListHead = 16;  // struct list_head

std::optional<std::uint64_t> elements(const types::TypeDb& types, std::string_view structure,
                                      std::string_view member) {
  const auto found = types.find_member(structure, member);
  return found ? types.element_count(types.resolve(found->type)) : std::nullopt;
}

std::optional<std::uint64_t> size_of(const types::TypeDb& types, std::string_view structure) {
  const auto type = types.find_struct(structure);
  return type ? types.size_of(*type) : std::nullopt;
}

}  // namespace

SocketTables::SocketTables(LinuxKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  const Layout common(kernel.types(), reader_.diagnostics(), "sock_common");
  state_ = common.field<std::uint8_t>("skc_state");
  node_ = common.offset_of("skc_node");
  namespaces_ = network_namespaces(kernel);
}

std::vector<ListedSocket> SocketTables::read() {
  const auto& types = kernel_.types();
  auto& diagnostics = reader_.diagnostics();
  const Layout net(types, diagnostics, "net");
  for (const auto* symbol : {"tcp_hashinfo", "udp_table", "raw_v4_hashinfo", "nl_table"}) {
    if (!kernel_.address_of(symbol)) {
      diagnostics.add(Level::warning, "sockets",
                      fmt::format("the kernel has no symbol {}: sockets that no process has open "
                                  "may be missing",
                                  symbol));
    }
  }
  // A namespace may have TCP and UDP tables of its own since 6.1 (d1e5e6408b30, 9804985bf27f).
  for (const auto table :
       tables_of("tcp_hashinfo", net.optional_field<VirtAddr>("ipv4.tcp_death_row.hashinfo"))) {
    read_tcp(table);
  }
  for (const auto table : tables_of("udp_table", net.optional_field<VirtAddr>("ipv4.udp_table"))) {
    read_udp(table, SocketKind::udp);
  }
  if (const auto table = kernel_.address_of("udplite_table")) {  // not in 7.2
    read_udp(*table, SocketKind::udplite);
  }
  read_raw();
  read_ping();
  read_unix();
  read_packet();
  read_netlink();
  read_vsock();
  read_bluetooth();
  return std::move(found_);
}

std::optional<std::uint64_t> SocketTables::offset_in(std::string_view structure,
                                                     std::string_view member) const {
  return Layout::of_optional(kernel_.types(), reader_.diagnostics(), structure)
      .optional_offset_of(member);
}

std::set<VirtAddr> SocketTables::tables_of(std::string_view symbol,
                                           const Field<VirtAddr>& in_namespace) const {
  std::set<VirtAddr> tables;
  const auto shared = symbol.empty() ? std::nullopt : kernel_.address_of(symbol);
  if (shared) tables.insert(*shared);
  for (const auto net : namespaces_) {
    if (const auto table = reader_.require(net, in_namespace)) tables.insert(*table);
  }
  return tables;
}

void SocketTables::add(VirtAddr sock, SocketKind kind) {
  if (!seen_.insert(sock).second) return;
  auto shape = SocketShape::full;
  if (kind == SocketKind::tcp) {
    const auto state = reader_.get(sock, state_);
    if (!state) return;
    if (*state == kTimeWait) shape = SocketShape::time_wait;
    if (*state == kNewSynRecv) shape = SocketShape::request;
  }
  found_.push_back({sock, kind, shape});
}

void SocketTables::add_chains(std::string_view what, VirtAddr first, std::uint64_t count,
                              std::uint64_t stride, std::optional<std::uint64_t> node_offset,
                              SocketKind kind) {
  if (!node_offset) return;
  walkers_.try_emplace(what, reader_, what)
      .first->second.table(first, count, stride,
                           [&](VirtAddr node) { add(node - *node_offset, kind); });
}

void SocketTables::read_tcp(VirtAddr hashinfo) {
  const auto& types = kernel_.types();
  auto& diagnostics = reader_.diagnostics();
  const Layout info(types, diagnostics, "inet_hashinfo");
  const auto bucket = size_of(types, "inet_listen_hashbucket");
  const auto chain = offset_in("inet_listen_hashbucket", "nulls_head");
  // Up to 5.18 listening sockets are in two tables, by port and by address (removed: cae3873c5b3a).
  const auto by_port = offset_in("inet_hashinfo", "listening_hash");
  const auto heads = elements(types, "inet_hashinfo", "listening_hash");
  if (bucket && chain && by_port && heads) {
    add_chains("tcp_hashinfo.listening_hash", hashinfo + *by_port + *chain, *heads, *bucket, node_,
               SocketKind::tcp);
  }
  const auto by_address = reader_.require(hashinfo, info.field<VirtAddr>("lhash2"));
  const auto mask = reader_.get(hashinfo, info.field<std::uint32_t>("lhash2_mask"));
  // A namespace's own table of connections comes with a copy of the shared pointer to the listening
  // ones (inet_pernet_hashinfo_alloc() in net/ipv4/inet_hashtables.c).
  if (bucket && chain && by_address && mask && listening_.insert(*by_address).second) {
    add_chains("tcp_hashinfo.lhash2", *by_address + *chain, std::uint64_t{*mask} + 1, *bucket,
               by_port ? offset_in("inet_connection_sock", "icsk_listen_portaddr_node") : node_,
               SocketKind::tcp);
  }
  const auto connections = reader_.require(hashinfo, info.field<VirtAddr>("ehash"));
  const auto last = reader_.get(hashinfo, info.field<std::uint32_t>("ehash_mask"));
  const auto stride = size_of(types, "inet_ehash_bucket");
  if (connections && last && stride) {
    add_chains("tcp_hashinfo.ehash", *connections, std::uint64_t{*last} + 1, *stride, node_,
               SocketKind::tcp);
  }
}

// Each bound socket is in two tables, by port and by address and port.
void SocketTables::read_udp(VirtAddr table, SocketKind kind) {
  const auto& types = kernel_.types();
  const Layout layout(types, reader_.diagnostics(), "udp_table");
  const auto mask = reader_.get(table, layout.field<std::uint32_t>("mask"));
  const auto by_port = reader_.require(table, layout.field<VirtAddr>("hash"));
  const auto by_address = reader_.require(table, layout.field<VirtAddr>("hash2"));
  const auto slot = size_of(types, "udp_hslot");
  // The slots of hash2 also count the users of a third table since 6.13 (dab78a1745ab).
  const auto slot2 = types.find_struct("udp_hslot_main") ? size_of(types, "udp_hslot_main") : slot;
  if (!mask) return;
  const std::uint64_t count = std::uint64_t{*mask} + 1;
  if (by_port && slot) add_chains("udp_table.hash", *by_port, count, *slot, node_, kind);
  if (by_address && slot2) {
    add_chains("udp_table.hash2", *by_address, count, *slot2,
               offset_in("sock_common", "skc_portaddr_node"), kind);
  }
}

void SocketTables::read_raw() {
  const auto& types = kernel_.types();
  const auto first = offset_in("raw_hashinfo", "ht");
  const auto count = elements(types, "raw_hashinfo", "ht");
  if (!first || !count) return;
  for (const auto* symbol : {"raw_v4_hashinfo", "raw_v6_hashinfo"}) {
    if (const auto table = kernel_.address_of(symbol)) {
      add_chains(symbol, *table + *first, *count, kHead, node_, SocketKind::raw);
    }
  }
}

void SocketTables::read_ping() {
  const auto& types = kernel_.types();
  const auto first = offset_in("ping_table", "hash");
  const auto count = elements(types, "ping_table", "hash");
  const auto table = kernel_.address_of("ping_table");
  if (first && count && table) {
    add_chains("ping_table", *table + *first, *count, kHead, node_, SocketKind::ping);
  }
}

// One table up to 5.19, then one a namespace (cf2f225e2653).
void SocketTables::read_unix() {
  if (const auto table = kernel_.address_of("unix_socket_table")) {
    add_chains("unix_socket_table", *table, kUnixHeads, kHead, node_, SocketKind::unix_domain);
  }
  const Layout net(kernel_.types(), reader_.diagnostics(), "net");
  for (const auto table : tables_of({}, net.optional_field<VirtAddr>("unx.table.buckets"))) {
    add_chains("net.unx.table", table, kUnixHeads, kHead, node_, SocketKind::unix_domain);
  }
}

void SocketTables::read_packet() {
  const auto head = offset_in("net", "packet.sklist");
  if (!head) return;
  for (const auto net : namespaces_) {
    add_chains("net.packet.sklist", net + *head, 1, kHead, node_, SocketKind::packet);
  }
}

void SocketTables::read_netlink() {
  const auto& types = kernel_.types();
  const auto symbol = kernel_.address_of("nl_table");
  const auto stride = size_of(types, "netlink_table");
  const auto hash = offset_in("netlink_table", "hash");
  const auto node = offset_in("netlink_sock", "node");
  const auto tables = symbol ? reader_.require_at(*symbol, "nl_table") : std::nullopt;
  if (!tables || !stride || !hash || !node) return;
  const RhashtableWalker walker(types, reader_);
  for (std::uint64_t protocol = 0; protocol < kNetlinkProtocols; ++protocol) {
    walker.walk(*tables + protocol * *stride + *hash, "nl_table",
                [&](VirtAddr entry) { add(entry - *node, SocketKind::netlink); });
  }
}

void SocketTables::read_vsock() {
  const auto sock = size_of(kernel_.types(), "sock");
  if (!sock) return;
  const VsockLayout layout(*sock);
  const auto read = [&](std::string_view symbol, std::uint64_t count, std::uint64_t node) {
    const auto table = kernel_.address_of(symbol);
    std::size_t rest = kVsockLimit;
    for (std::uint64_t i = 0; table && i < count && rest != 0; ++i) {
      for (const auto found : walk_list(reader_, *table + i * kListHead, node, symbol, rest)) {
        add(found, SocketKind::vsock);
        --rest;
      }
    }
  };
  // The last list of the first table has the sockets that are not bound.
  read("vsock_bind_table", kVsockHeads + 1, layout.bound);
  read("vsock_connected_table", kVsockHeads, layout.connected);
}

// Each protocol has a struct bt_sock_list, which begins with its head (net/bluetooth).
void SocketTables::read_bluetooth() {
  constexpr std::array kLists = {"hci_sk_list", "l2cap_sk_list", "sco_sk_list",  "rfcomm_sk_list",
                                 "iso_sk_list", "bnep_sk_list",  "cmtp_sk_list", "hidp_sk_list"};
  for (const auto* symbol : kLists) {
    if (const auto list = kernel_.address_of(symbol)) {
      add_chains(symbol, *list, 1, kHead, node_, SocketKind::bluetooth);
    }
  }
}

}  // namespace engram::kernel
