// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/interface_address.h"

#include <fmt/core.h>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kAddressLimit = 1U << 20U;  // of one interface; people do add /16s one by one

std::optional<std::string> ip_at(const Reader& reader, const InterfaceAddress& of,
                                 const std::optional<std::uint64_t>& offset,
                                 std::string_view what) {
  if (!offset) return std::nullopt;
  return read_ip_unless_zero(reader, of.address + *offset, of.is_ipv6, what);
}

}  // namespace

InterfaceAddresses::InterfaceAddresses(LinuxKernel& kernel) : reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout device(types, diagnostics, "net_device");
  in_device_ = device.field<VirtAddr>("ip_ptr");
  in6_device_ = device.optional_field<VirtAddr>("ip6_ptr");  // CONFIG_IPV6
  first4_ = Layout(types, diagnostics, "in_device").field<VirtAddr>("ifa_list");
  const Layout four(types, diagnostics, "in_ifaddr");
  next4_ = four.field<VirtAddr>("ifa_next");
  local4_ = four.offset_of("ifa_local");
  peer4_ = four.offset_of("ifa_address");
  mask4_ = four.offset_of("ifa_mask");
  broadcast4_ = four.offset_of("ifa_broadcast");
  prefix_length4_ = four.field<std::uint32_t>("ifa_prefixlen");
  flags4_ = four.field<std::uint32_t>("ifa_flags");
  scope4_ = four.field<std::uint32_t>("ifa_scope");
  label_ = four.text("ifa_label");
  if (!in6_device_) return;
  list6_ = Layout(types, diagnostics, "inet6_dev").offset_of("addr_list");
  const Layout six(types, diagnostics, "inet6_ifaddr");
  node6_ = six.offset_of("if_list");
  local6_ = six.offset_of("addr");
  peer6_ = six.offset_of("peer_addr");
  prefix_length6_ = six.field<std::uint32_t>("prefix_len");
  flags6_ = six.field<std::uint32_t>("flags");
  scope6_ = six.field<std::uint32_t>("scope");
}

std::vector<InterfaceAddress> InterfaceAddresses::of_device(VirtAddr device) const {
  std::vector<InterfaceAddress> found;
  const auto four = reader_.follow(device, in_device_);
  if (four) {
    for (const auto address : walk_chain(reader_, *four, first4_, next4_, kAddressLimit)) {
      found.push_back({address, device, false});
    }
  }
  const auto six = reader_.follow(device, in6_device_);
  if (six && list6_ && node6_) {
    for (const auto address :
         walk_list(reader_, *six + *list6_, *node6_, "inet6_dev.addr_list", kAddressLimit)) {
      found.push_back({address, device, true});
    }
  }
  return found;
}

std::optional<std::string> InterfaceAddresses::local(const InterfaceAddress& of) const {
  const auto& offset = of.is_ipv6 ? local6_ : local4_;
  if (!offset) return std::nullopt;
  return read_ip(reader_, of.address + *offset, of.is_ipv6,
                 of.is_ipv6 ? "inet6_ifaddr.addr" : "in_ifaddr.ifa_local");
}

// Without another end ifa_address is the address itself, and peer_addr is ::.
std::optional<std::string> InterfaceAddresses::peer(const InterfaceAddress& of) const {
  auto other = of.is_ipv6 ? ip_at(reader_, of, peer6_, "inet6_ifaddr.peer_addr")
                          : ip_at(reader_, of, peer4_, "in_ifaddr.ifa_address");
  return other == local(of) ? std::nullopt : other;
}

std::optional<std::string> InterfaceAddresses::broadcast(const InterfaceAddress& of) const {
  if (of.is_ipv6) return std::nullopt;
  return ip_at(reader_, of, broadcast4_, "in_ifaddr.ifa_broadcast");
}

std::optional<std::string> InterfaceAddresses::mask(const InterfaceAddress& of) const {
  if (of.is_ipv6) {
    const auto length = prefix_length(of);
    return length ? std::optional(fmt::format("{}", *length)) : std::nullopt;
  }
  if (!mask4_) return std::nullopt;
  return read_ip(reader_, of.address + *mask4_, false, "in_ifaddr.ifa_mask");
}

std::optional<std::string> InterfaceAddresses::label(const InterfaceAddress& of) const {
  return of.is_ipv6 ? std::nullopt : reader_.text(of.address, label_);
}

// rt_scope() in net/ipv6/addrconf.c: inet6_ifaddr.scope has bits of IPV6_ADDR_*
// (include/net/ipv6.h).
std::optional<std::uint32_t> InterfaceAddresses::scope(const InterfaceAddress& of) const {
  constexpr std::uint32_t kLoopback = 0x10, kLinkLocal = 0x20, kSiteLocal = 0x40;
  constexpr std::uint32_t kUniverse = 0, kSite = 200, kLink = 253, kHost = 254;  // RT_SCOPE_*
  if (!of.is_ipv6) return reader_.get(of.address, scope4_);
  const auto bits = reader_.get(of.address, scope6_);
  if (!bits) return std::nullopt;
  if ((*bits & kLoopback) != 0) return kHost;
  if ((*bits & kLinkLocal) != 0) return kLink;
  return (*bits & kSiteLocal) != 0 ? kSite : kUniverse;
}

}  // namespace engram::kernel
