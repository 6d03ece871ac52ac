// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/neighbour.h"
#include "tables/linux/names.h"
#include "tables/linux/network_columns.h"

namespace engram::tables {
namespace {

using kernel::Neighbour;
using kernel::Neighbours;
using kernel::NetworkInterfaces;
using kernel::Session;

constexpr std::uint32_t kPermanent = 0x80;  // NUD_PERMANENT

const Neighbours& neighbours_of(Session& session) {
  return kernel_of(session).neighbours();
}

template <auto member>
Value own(const Neighbour& row, Session& session) {
  return cell((neighbours_of(session).*member)(row));
}

template <auto member>
Value of_interface(const Neighbour& row, Session& session) {
  return of_device<member>(neighbours_of(session).device(row), session);
}

Value name_space(const Neighbour& row, Session& session) {
  auto net = neighbours_of(session).proxy_net(row);
  const auto device = neighbours_of(session).device(row);
  if (!net && device) net = interfaces_of(session).net(*device);
  return namespace_number(net, session);
}

Value mac(const Neighbour& row, Session& session) {
  const auto device = neighbours_of(session).device(row);
  const auto length = device ? interfaces_of(session).mac_length(*device) : std::nullopt;
  return length ? cell(neighbours_of(session).mac(row, *length)) : Null{};
}

// NUD_*, include/uapi/linux/neighbour.h, as ip neigh calls them.
Value state(const Neighbour& row, Session& session) {
  static constexpr Name kNames[] = {
      {0, "NONE"},      {0x1, "INCOMPLETE"}, {0x2, "REACHABLE"},
      {0x4, "STALE"},   {0x8, "DELAY"},      {0x10, "PROBE"},
      {0x20, "FAILED"}, {0x40, "NOARP"},     {kPermanent, "PERMANENT"}};
  return name_of(kNames, neighbours_of(session).state(row));
}

Value permanent(const Neighbour& row, Session& session) {
  const auto state = neighbours_of(session).state(row);
  return state ? cell((*state & kPermanent) != 0 ? "1" : "0") : Null{};
}

// NTF_*, include/uapi/linux/neighbour.h.
Value flags(const Neighbour& row, Session& session) {
  static constexpr Name kNames[] = {{0x1, "use"},      {0x2, "self"},          {0x4, "master"},
                                    {0x8, "proxy"},    {0x10, "extern_learn"}, {0x20, "offload"},
                                    {0x40, "sticky"},  {0x80, "router"},       {0x100, "managed"},
                                    {0x200, "locked"}, {0x400, "extern_valid"}};
  auto bits = neighbours_of(session).flags(row);
  if (!bits) return Null{};
  return cell(names_of_bits(kNames, row.is_proxy ? *bits | 0x8 : *bits));
}

const std::vector<Column<Neighbour>>& columns() {
  using N = NetworkInterfaces;
  static const std::vector<Column<Neighbour>> list{
      {{"virtual_address", Type::pointer, "The struct neighbour; of a proxy's entry pneigh_entry."},
       [](const Neighbour& row, Session&) { return cell(row.address); }},
      {{"family", Type::text, "`ipv4` (ARP) or `ipv6` (neighbour discovery)."},
       [](const Neighbour& row, Session&) { return family_name(row.is_ipv6); }},
      {{"address", Type::text, "IP address of the neighbour."}, own<&Neighbours::ip>},
      {{"mac", Type::text,
        "Its hardware address, hexadecimal with colons; NULL while it is not known, for proxies "
        "and "
        "where the link has none."},
       mac},
      {{"interface", Type::text, "Name of the interface; NULL for a proxy on all of them."},
       of_interface<&N::name>},
      {{"state", Type::text,
        "As ip neigh shows it: `PERMANENT`, `REACHABLE`, `STALE`, `DELAY`, `PROBE`, `INCOMPLETE`, "
        "`FAILED`; `NOARP` (multicast, point-to-point, loopback) and `NONE`, which it does not "
        "show "
        "unless asked. NULL for proxies."},
       state},
      {{"permanent", Type::text,
        "`1` if it was set by hand and stays, else `0`; NULL for proxies."},
       permanent},
      {{"flags", Type::text,
        "Comma-separated: `router`; `proxy`: an address for which this machine answers ...; empty "
        "for "
        "none."},
       flags},
      {{"namespace", Type::integer, "Inode number of its network namespace, as lsns shows it."},
       name_space},
      {{"device", Type::pointer, "The struct net_device, which is interfaces.virtual_address."},
       own<&Neighbours::device>},
      {{"ifindex", Type::integer, "Number of the interface in its namespace."},
       of_interface<&N::index>},
  };
  return list;
}

Result<Rows<Neighbour>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return rows_of(kernel->neighbours().all());
}

}  // namespace

const Table& arp_cache_table() {
  static const DataTable<Neighbour> table("arp_cache",
                                          "Which hardware address belongs to an IP address: the "
                                          "kernel's neighbours of IPv4 and IPv6 in "
                                          "all network namespaces, as ip neigh shows them.",
                                          20, columns(), open);
  return table;
}

}  // namespace engram::tables
