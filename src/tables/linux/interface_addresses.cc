// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/interface_address.h"

#include "tables/linux/names.h"
#include "tables/linux/network_columns.h"

namespace engram::tables {
namespace {

using kernel::InterfaceAddress;
using kernel::InterfaceAddresses;
using kernel::NetworkInterfaces;
using kernel::Session;

template <auto member>
Value own(const InterfaceAddress& row, Session& session) {
  return cell((kernel_of(session).interface_addresses().*member)(row));
}

template <auto member>
Value of_interface(const InterfaceAddress& row, Session& session) {
  return of_device<member>(row.device, session);
}

Value scope(const InterfaceAddress& row, Session& session) {
  return scope_name(kernel_of(session).interface_addresses().scope(row));
}

// IFA_F_*, include/uapi/linux/if_addr.h, as ip address calls them: it says `dynamic` where
// IFA_F_PERMANENT is missing.
Value flags(const InterfaceAddress& row, Session& session) {
  static constexpr std::uint32_t kSecondary = 0x1, kPermanent = 0x80;
  static constexpr Name kNames[] = {{0x2, "nodad"},        {0x4, "optimistic"},
                                    {0x8, "dadfailed"},    {0x10, "home"},
                                    {0x20, "deprecated"},  {0x40, "tentative"},
                                    {0x100, "mngtmpaddr"}, {0x200, "noprefixroute"},
                                    {0x400, "autojoin"},   {0x800, "stable-privacy"}};
  const auto bits = kernel_of(session).interface_addresses().flags(row);
  if (!bits) return Null{};
  auto text = names_of_bits(kNames, *bits & ~(kSecondary | kPermanent));
  const auto put_first = [&text](std::string_view name) {
    text = std::string(name) + (text.empty() ? "" : "," + text);
  };
  if ((*bits & kPermanent) == 0) put_first("dynamic");
  if ((*bits & kSecondary) != 0) put_first(row.is_ipv6 ? "temporary" : "secondary");
  return cell(std::move(text));
}

const std::vector<Column<InterfaceAddress>>& columns() {
  using A = InterfaceAddresses;
  using N = NetworkInterfaces;
  static const std::vector<Column<InterfaceAddress>> list{
      {{"virtual_address", Type::pointer, "The struct in_ifaddr (IPv4) or inet6_ifaddr (IPv6)."},
       [](const InterfaceAddress& row, Session&) { return cell(row.address); }},
      {{"device", Type::pointer,
        "The struct net_device, which is interfaces.virtual_address: the key to join on.", false,
        true},
       [](const InterfaceAddress& row, Session&) { return cell(row.device); }},
      {{"interface", Type::text, "Name of the interface."}, of_interface<&N::name>},
      {{"ifindex", Type::integer, "Number of the interface in its namespace."},
       of_interface<&N::index>},
      {{"namespace", Type::integer, "Inode number of its network namespace, as lsns shows it."},
       [](const InterfaceAddress& row, Session& session) {
         return namespace_number(interfaces_of(session).net(row.device), session);
       }},
      {{"family", Type::text, "`ipv4` or `ipv6`."},
       [](const InterfaceAddress& row, Session&) { return family_name(row.is_ipv6); }},
      {{"address", Type::text, "The address of this machine."}, own<&A::local>},
      {{"prefix_length", Type::integer, "Bits of the address that the network has in common."},
       own<&A::prefix_length>},
      {{"mask", Type::text, "IPv4: the mask as an address; IPv6: the prefix length."},
       own<&A::mask>},
      {{"broadcast", Type::text, "Address of all in the network; NULL for none and for IPv6."},
       own<&A::broadcast>},
      {{"point_to_point", Type::text, "The other end of the link (peer); NULL for none."},
       own<&A::peer>},
      {{"scope", Type::text, "`global`, `site`, `link` or `host`: where the address is valid."},
       scope},
      {{"label", Type::text, "Name that the address was given (eth0:1); NULL for IPv6."},
       own<&A::label>},
      {{"flags", Type::text,
        "Comma-separated, as ip address shows them: `secondary`, `temporary`, `dynamic`, "
        "`tentative` "
        "...; empty for none."},
       flags},
      {{"flag_bits", Type::integer, "IFA_F_*: the bits of flags.", true}, own<&A::flags>},
  };
  return list;
}

Result<Rows<InterfaceAddress>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  std::vector<VirtAddr> devices;
  for (const auto& interface : kernel->network_interfaces().all()) {
    const auto* wanted =
        values.empty() ? nullptr : std::get_if<std::int64_t>(&values.front().value);
    if (!values.empty() &&
        (!wanted || static_cast<std::uint64_t>(*wanted) != interface.address.value)) {
      continue;
    }
    devices.push_back(interface.address);
  }
  return [&addresses = kernel->interface_addresses(), devices = std::move(devices),
          next = std::size_t{0}, found = std::vector<InterfaceAddress>(),
          at = std::size_t{0}]() mutable -> Result<std::optional<InterfaceAddress>> {
    while (at == found.size()) {
      if (next == devices.size()) return std::optional<InterfaceAddress>();
      found = addresses.of_device(devices[next++]);
      at = 0;
    }
    return found[at++];
  };
}

}  // namespace

const Table& interface_addresses_table() {
  static const DataTable<InterfaceAddress> table(
      "interface_addresses",
      "The IP addresses of the interfaces of all network namespaces, as ip address shows them.", 20,
      columns(), open);
  return table;
}

}  // namespace engram::tables
