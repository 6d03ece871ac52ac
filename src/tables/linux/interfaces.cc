// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "tables/linux/names.h"
#include "tables/linux/network_columns.h"

namespace engram::tables {
namespace {

using kernel::NetworkInterface;
using kernel::NetworkInterfaces;
using kernel::Session;

constexpr std::uint32_t kUp = 1U << 0U, kRunning = 1U << 6U;  // IFF_*, include/uapi/linux/if.h

template <auto member>
Value own(const NetworkInterface& row, Session& session) {
  return of_device<member>(row.address, session);
}

/// A value of another interface that this one names.
template <auto other, auto member>
Value of_other(const NetworkInterface& row, Session& session) {
  return of_device<member>((interfaces_of(session).*other)(row.address), session);
}

template <auto member>
Value texts(const NetworkInterface& row, Session& session) {
  std::string all;
  for (const auto& text : (interfaces_of(session).*member)(row.address)) {
    all += (all.empty() ? "" : " ") + text;
  }
  return all.empty() ? Null{} : cell(std::move(all));
}

Value state(const NetworkInterface& row, Session& session) {
  const auto flags = interfaces_of(session).flags(row.address);
  if (!flags) return Null{};
  return cell((*flags & kUp) != 0 && (*flags & kRunning) != 0 ? "up" : "down");
}

Value operational_state(const NetworkInterface& row, Session& session) {
  static constexpr Name kNames[] = {
      {0, "UNKNOWN"}, {1, "NOTPRESENT"}, {2, "DOWN"}, {3, "LOWERLAYERDOWN"},
      {4, "TESTING"}, {5, "DORMANT"},    {6, "UP"}};
  return name_of(kNames, interfaces_of(session).operational_state(row.address));
}

// The names and their order are those of ip link, which says NO-CARRIER where IFF_RUNNING is
// missing.
Value flags(const NetworkInterface& row, Session& session) {
  static constexpr Name kNames[] = {
      {0x8, "LOOPBACK"},    {0x2, "BROADCAST"},   {0x10, "POINTOPOINT"}, {0x1000, "MULTICAST"},
      {0x80, "NOARP"},      {0x200, "ALLMULTI"},  {0x100, "PROMISC"},    {0x400, "MASTER"},
      {0x800, "SLAVE"},     {0x4, "DEBUG"},       {0x8000, "DYNAMIC"},   {0x4000, "AUTOMEDIA"},
      {0x2000, "PORTSEL"},  {0x20, "NOTRAILERS"}, {kUp, "UP"},           {0x10000, "LOWER_UP"},
      {0x20000, "DORMANT"}, {0x40000, "ECHO"}};
  const auto bits = interfaces_of(session).flags(row.address);
  if (!bits) return Null{};
  const bool no_carrier = (*bits & kUp) != 0 && (*bits & kRunning) == 0;
  auto text = names_of_bits(kNames, *bits & ~kRunning);
  if (no_carrier) text = text.empty() ? "NO-CARRIER" : "NO-CARRIER," + text;
  return cell(std::move(text));
}

// ARPHRD_*, include/uapi/linux/if_arp.h, as ip link calls them.
Value type(const NetworkInterface& row, Session& session) {
  static constexpr Name kNames[] = {{1, "ether"},          {24, "ieee1394"},
                                    {32, "infiniband"},    {256, "slip"},
                                    {280, "can"},          {512, "ppp"},
                                    {519, "rawip"},        {768, "ipip"},
                                    {769, "tunnel6"},      {772, "loopback"},
                                    {776, "sit"},          {778, "gre"},
                                    {801, "ieee802.11"},   {803, "ieee802.11/radiotap"},
                                    {804, "ieee802.15.4"}, {823, "gre6"},
                                    {824, "netlink"},      {825, "6lowpan"},
                                    {826, "vsockmon"},     {65534, "none"},
                                    {65535, "void"}};
  return name_of(kNames, interfaces_of(session).type(row.address));
}

const std::vector<Column<NetworkInterface>>& columns() {
  using N = NetworkInterfaces;
  static const std::vector<Column<NetworkInterface>> list{
      {{"virtual_address", Type::pointer, "The struct net_device: the key to join on.", false,
        true},
       [](const NetworkInterface& row, Session&) { return cell(row.address); }},
      {{"name", Type::text, "NULL if it has none."}, own<&N::name>},
      {{"ifindex", Type::integer, "Number in its namespace."}, own<&N::index>},
      {{"namespace", Type::integer, "Inode number of its network namespace, as lsns shows it."},
       [](const NetworkInterface& row, Session& session) {
         return namespace_number(row.net, session);
       }},
      {{"net", Type::pointer, "The struct net of its network namespace."},
       [](const NetworkInterface& row, Session&) { return cell(row.net); }},
      {{"active_mac_address", Type::text,
        "Hardware address in use, hexadecimal with colons; NULL if there is none or all is zero."},
       own<&N::mac>},
      {{"physical_mac_address", Type::text,
        "Hardware address of the device itself; NULL as active_mac_address."},
       own<&N::permanent_mac>},
      {{"additional_mac_addresses", Type::text,
        "Other hardware addresses of the device, blank-separated; NULL for none."},
       texts<&N::additional_macs>},
      {{"broadcast_mac_address", Type::text,
        "Hardware address of all on the link; NULL as active_mac_address."},
       own<&N::broadcast>},
      {{"state", Type::text,
        "`up` if it is switched on and can carry packets (IFF_UP and IFF_RUNNING, as ip(8) and "
        "ifconfig(8) get them), else `down`."},
       state},
      {{"operstate", Type::text,
        "As ip link shows it: `UP`, `DOWN`, `UNKNOWN` (loopback and others that cannot tell), "
        "`LOWERLAYERDOWN`, `NOTPRESENT`, `TESTING` or `DORMANT`."},
       operational_state},
      {{"flags", Type::text, "Comma-separated, as ip link shows them."}, flags},
      {{"flag_bits", Type::integer, "IFF_* as the kernel answers them, IFF_RUNNING (64) included."},
       own<&N::flags>},
      {{"mtu", Type::integer, "Greatest packet, in bytes."}, own<&N::mtu>},
      {{"type", Type::text, "`ether`, `loopback`, `none` ...; the number of others."}, type},
      {{"type_number", Type::integer, "ARPHRD_*: the number of type.", true}, own<&N::type>},
      {{"kind", Type::text,
        "What software makes it: `vlan`, `bridge`, `dummy`, `veth`, `tun` ...; NULL for hardware "
        "and the loopback."},
       own<&N::kind>},
      {{"link", Type::pointer,
        "The struct net_device that it lies on (of a VLAN: the hardware), or the other end of a "
        "veth; NULL for none, and for tunnels."},
       own<&N::link>},
      {{"link_index", Type::integer, "Its ifindex, in its own namespace."},
       of_other<&N::link, &N::index>},
      {{"link_name", Type::text, "Its name."}, of_other<&N::link, &N::name>},
      {{"master", Type::pointer, "The struct net_device (bridge, bond ...) that it is a port of."},
       own<&N::master>},
      {{"master_index", Type::integer, "Its ifindex."}, of_other<&N::master, &N::index>},
      {{"master_name", Type::text, "Its name."}, of_other<&N::master, &N::name>},
      {{"alias", Type::text, "Free text that was set for people; NULL for none."}, own<&N::alias>},
      {{"alternative_names", Type::text, "Blank-separated; NULL for none."},
       texts<&N::alternative_names>},
      {{"group_number", Type::integer, "Group of interfaces; 0 is the default one."},
       own<&N::group>},
      {{"promiscuity", Type::integer,
        "How many (sniffers, bridges) ask it for packets that are meant for others."},
       own<&N::promiscuity>},
      {{"qdisc", Type::text, "Its root queueing discipline."}, own<&N::queueing_discipline>},
      {{"tx_queue_length", Type::integer, "Packets."}, own<&N::queue_length>},
      {{"list_head", Type::pointer, "The list that it was found on (net.dev_base_head).", true},
       [](const NetworkInterface& row, Session&) { return cell(row.list_head); }},
  };
  return list;
}

Result<Rows<NetworkInterface>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& interfaces = kernel->network_interfaces();
  if (values.empty()) return rows_of(interfaces.all());
  const auto* number = std::get_if<std::int64_t>(&values.front().value);
  const auto* found =
      number ? interfaces.find(VirtAddr(static_cast<std::uint64_t>(*number))) : nullptr;
  return rows_of(found ? std::vector{*found} : std::vector<NetworkInterface>());
}

}  // namespace

const Table& interfaces_table() {
  static const DataTable<NetworkInterface> table(
      "interfaces", "The network interfaces of all network namespaces, as ip link shows them.", 10,
      columns(), open);
  return table;
}

}  // namespace engram::tables
