// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/route.h"

#include "tables/linux/names.h"
#include "tables/linux/network_columns.h"

namespace engram::tables {
namespace {

using kernel::NetworkInterfaces;
using kernel::Route;
using kernel::Routes;
using kernel::Session;

// The names are those of ip route, the numbers of include/uapi/linux/rtnetlink.h.
constexpr Name kTables[] = {{253, "default"}, {254, "main"}, {255, "local"}};
constexpr Name kTypes[] = {{0, "none"},     {1, "unicast"},   {2, "local"},     {3, "broadcast"},
                           {4, "anycast"},  {5, "multicast"}, {6, "blackhole"}, {7, "unreachable"},
                           {8, "prohibit"}, {9, "throw"},     {10, "nat"},      {11, "xresolve"}};
constexpr Name kProtocols[] = {{0, "unspec"}, {1, "redirect"}, {2, "kernel"},    {3, "boot"},
                               {4, "static"}, {8, "gated"},    {9, "ra"},        {10, "mrt"},
                               {11, "zebra"}, {12, "bird"},    {13, "dnrouted"}, {14, "xorp"},
                               {15, "ntk"},   {16, "dhcp"},    {17, "mrouted"},  {18, "keepalived"},
                               {42, "babel"}, {84, "ovn"},     {99, "openr"},    {186, "bgp"},
                               {187, "isis"}, {188, "ospf"},   {189, "rip"},     {192, "eigrp"}};
constexpr Name kFlags[] = {{0x1, "dead"},    {0x2, "pervasive"}, {0x4, "onlink"},
                           {0x8, "offload"}, {0x10, "linkdown"}, {0x20, "unresolved"},
                           {0x40, "trap"}};

const Routes& routes_of(Session& session) {
  return kernel_of(session).routes();
}

template <auto member>
Value own(const Route& row, Session& session) {
  return cell((routes_of(session).*member)(row));
}

template <const auto& names, auto member>
Value named(const Route& row, Session& session) {
  return name_of(names, (routes_of(session).*member)(row));
}

template <auto member>
Value of_interface(const Route& row, Session& session) {
  return of_device<member>(routes_of(session).device(row), session);
}

Value scope(const Route& row, Session& session) {
  return scope_name(routes_of(session).scope(row));
}

Value flags(const Route& row, Session& session) {
  const auto bits = routes_of(session).flags(row);
  return bits ? cell(names_of_bits(kFlags, *bits)) : Null{};
}

const std::vector<Column<Route>>& columns() {
  using N = NetworkInterfaces;
  static const std::vector<Column<Route>> list{
      {{"virtual_address", Type::pointer,
        "The struct fib_alias (IPv4) or fib6_info (IPv6); that of a route with several next hops "
        "is "
        "in the row of each of them."},
       [](const Route& row, Session&) { return cell(row.address); }},
      {{"family", Type::text, "`ipv4` or `ipv6`."},
       [](const Route& row, Session&) { return family_name(row.is_ipv6); }},
      {{"namespace", Type::integer, "Inode number of its network namespace, as lsns shows it."},
       [](const Route& row, Session& session) { return namespace_number(row.net, session); }},
      {{"table_name", Type::text, "`main`, `local`, `default`; the number of others."},
       [](const Route& row, Session&) { return name_of(kTables, row.table); }},
      {{"table_number", Type::integer, "Number of the table.", true},
       [](const Route& row, Session&) { return cell(row.table); }},
      {{"type", Type::text,
        "`unicast`, `local`, `broadcast`, `anycast`, `multicast`; `blackhole`, `unreachable`, "
        "`prohibit` for packets that are not to get there, `throw`."},
       named<kTypes, &Routes::type>},
      {{"destination", Type::text, "First address of the network; `0.0.0.0` or `::` by default."},
       own<&Routes::destination>},
      {{"prefix_length", Type::integer, "Bits of destination that count: 0 for the default route."},
       own<&Routes::prefix_length>},
      {{"netmask", Type::integer, "prefix_length, as osquery calls it.", true},
       own<&Routes::prefix_length>},
      {{"gateway", Type::text, "Address of the next hop; NULL if the network is on the link."},
       own<&Routes::gateway>},
      {{"interface", Type::text, "Name of the interface; NULL for none, as of a blackhole."},
       of_interface<&N::name>},
      {{"source", Type::text, "Preferred address of this machine for packets that it sends there."},
       own<&Routes::preferred_source>},
      {{"metric", Type::integer, "Of several routes to a network the one with the lowest counts."},
       own<&Routes::metric>},
      {{"protocol", Type::text,
        "Who made it: `kernel`, `boot` (by hand), `static`, `ra`, `dhcp`, `bird` ...; the number "
        "of "
        "others."},
       named<kProtocols, &Routes::protocol>},
      {{"scope", Type::text, "`global`, `site`, `link`, `host` or `nowhere`; IPv6: `global`."},
       scope},
      {{"flags", Type::text,
        "Comma-separated: `linkdown`, `dead`, `onlink`, `offload` ...; empty for none."},
       flags},
      {{"mtu", Type::integer, "Greatest packet in bytes; NULL if that of the interface counts."},
       own<&Routes::mtu>},
      {{"weight", Type::integer, "Share of this next hop among those of the route."},
       own<&Routes::weight>},
      {{"nexthop_id", Type::integer, "Nexthop object that it uses (ip nexthop); NULL for none."},
       [](const Route& row, Session&) { return row.object_id ? cell(row.object_id) : Null{}; }},
      {{"tos", Type::integer, "Type of service that a packet must have; NULL for IPv6."},
       own<&Routes::service>},
      {{"from_prefix", Type::text, "IPv6: network that a packet must come from; NULL for any."},
       own<&Routes::from>},
      {{"device", Type::pointer, "The struct net_device, which is interfaces.virtual_address."},
       own<&Routes::device>},
      {{"ifindex", Type::integer, "Number of the interface in its namespace."},
       of_interface<&N::index>},
  };
  return list;
}

Result<Rows<Route>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& all = kernel->routes().all();
  return [&all, at = std::size_t{0}]() mutable -> Result<std::optional<Route>> {
    if (at == all.size()) return std::optional<Route>();
    return all[at++];
  };
}

}  // namespace

const Table& routes_table() {
  static const DataTable<Route> table(
      "routes",
      "The routes of IPv4 and IPv6 in all tables of all network namespaces, a row for each next "
      "hop, as ip route show table all does.",
      50, columns(), open);
  return table;
}

}  // namespace engram::tables
