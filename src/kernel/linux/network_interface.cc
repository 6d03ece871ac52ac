// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/network_interface.h"

#include <algorithm>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kInterfaceLimit = 1U << 20U;
constexpr std::size_t kListLimit = 4096;         // names, addresses and neighbours of one of them
constexpr std::size_t kNameLimit = 128;          // ALTIFNAMSIZ, include/uapi/linux/if.h
constexpr std::size_t kKindLimit = 64;           // MODULE_NAME_LEN
constexpr std::size_t kAliasLimit = 256;         // IFALIASZ
constexpr std::uint64_t kPrivateAlignment = 32;  // NETDEV_ALIGN, include/linux/netdevice.h

// include/uapi/linux/if.h.
constexpr std::uint32_t kRunning = 1U << 6U, kPromiscuous = 1U << 8U, kAllMulticast = 1U << 9U,
                        kLowerUp = 1U << 16U, kDormant = 1U << 17U;
constexpr std::uint32_t kOperUnknown = 0, kOperDown = 2, kOperUp = 6;
// enum netdev_state_t, include/linux/netdevice.h: bits of net_device.state.
constexpr std::uint64_t kStarted = 1U << 0U, kNoCarrier = 1U << 2U, kIsDormant = 1U << 4U;

}  // namespace

NetworkInterfaces::NetworkInterfaces(LinuxKernel& kernel) : reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout net(types, diagnostics, "net");
  namespace_inode_ = net.field<std::uint32_t>("ns.inum");
  const Layout device(types, diagnostics, "net_device");
  name_ = device.text("name");
  index_ = device.field<std::int32_t>("ifindex");
  group_ = device.field<std::int32_t>("group");
  net_ = device.optional_field<VirtAddr>("nd_net.net");  // CONFIG_NET_NS
  mac_ = device.field<VirtAddr>("dev_addr");
  mac_length_ = device.field<std::uint8_t>("addr_len");
  permanent_mac_ = device.offset_of("perm_addr");
  macs_ = device.offset_of("dev_addrs.list");
  broadcast_ = device.offset_of("broadcast");
  state_ = device.field<std::uint64_t>("state");
  flags_ = device.field<std::uint32_t>("flags");
  asked_flags_ = device.field<std::uint32_t>("gflags");
  operstate_ = device.field<std::uint32_t>("operstate");
  mtu_ = device.field<std::uint32_t>("mtu");
  queue_length_ = device.field<std::uint32_t>("tx_queue_len");
  promiscuity_ = device.field<std::uint32_t>("promiscuity");
  type_ = device.field<std::uint16_t>("type");
  link_operations_ = device.field<VirtAddr>("rtnl_link_ops");
  alias_ = device.field<VirtAddr>("ifalias");
  name_node_ = device.field<VirtAddr>("name_node");
  discipline_ = device.field<VirtAddr>("qdisc");
  upper_ = device.offset_of("adj_list.upper");
  lower_ = device.offset_of("adj_list.lower");
  // The driver's own data: a member since 6.10, before that what follows the structure.
  private_ = device.optional_offset_of("priv");
  if (!private_ && device.size()) private_ = align_up(*device.size(), kPrivateAlignment);

  const Layout mac(types, diagnostics, "netdev_hw_addr");
  mac_node_ = mac.offset_of("list");
  mac_in_node_ = mac.offset_of("addr");
  kind_ = Layout(types, diagnostics, "rtnl_link_ops").field<VirtAddr>("kind");
  alias_text_ = Layout(types, diagnostics, "dev_ifalias").offset_of("ifalias");
  const Layout other_name(types, diagnostics, "netdev_name_node");
  alternative_node_ = other_name.offset_of("list");
  alternative_name_ = other_name.field<VirtAddr>("name");
  discipline_operations_ = Layout(types, diagnostics, "Qdisc").field<VirtAddr>("ops");
  discipline_name_ = Layout(types, diagnostics, "Qdisc_ops").text("id");
  const Layout adjacent(types, diagnostics, "netdev_adjacent");
  adjacent_node_ = adjacent.offset_of("list");
  adjacent_device_ = adjacent.field<VirtAddr>("dev");
  adjacent_is_master_ = adjacent.field<std::uint8_t>("master");

  const auto head = net.offset_of("dev_base_head");
  const auto node = device.offset_of("dev_list");
  if (!head || !node) return;
  for (const auto name_space : network_namespaces(kernel)) {
    const auto list = name_space + *head;
    for (const auto found : walk_list(reader_, list, *node, "net.dev_base_head", kInterfaceLimit)) {
      if (by_address_.emplace(found, all_.size()).second) {
        all_.push_back({found, name_space, list});
      }
    }
  }
}

const NetworkInterface* NetworkInterfaces::find(VirtAddr device) const {
  const auto found = by_address_.find(device);
  return found == by_address_.end() ? nullptr : &all_[found->second];
}

std::optional<VirtAddr> NetworkInterfaces::net(VirtAddr device) const {
  if (net_) return reader_.follow(device, net_);
  const auto* listed = find(device);
  return listed != nullptr ? std::optional(listed->net) : std::nullopt;
}

std::optional<std::string> NetworkInterfaces::name(VirtAddr device) const {
  auto text = reader_.text(device, name_);
  return text && text->empty() ? std::nullopt : text;
}

std::optional<std::string> NetworkInterfaces::mac_at(VirtAddr device, VirtAddr at,
                                                     std::string_view what) const {
  const auto length = mac_length(device);
  const auto bytes = length ? read_mac(reader_, at, *length, what) : std::nullopt;
  if (!bytes) return std::nullopt;
  const auto is_zero = [](std::byte byte) { return byte == std::byte{}; };
  if (std::all_of(bytes->begin(), bytes->end(), is_zero)) return std::nullopt;
  return mac_text(*bytes);
}

std::optional<std::string> NetworkInterfaces::mac(VirtAddr device) const {
  const auto at = reader_.follow(device, mac_);
  return at ? mac_at(device, *at, mac_.name) : std::nullopt;
}

std::optional<std::string> NetworkInterfaces::permanent_mac(VirtAddr device) const {
  if (!permanent_mac_) return std::nullopt;
  return mac_at(device, device + *permanent_mac_, "net_device.perm_addr");
}

std::optional<std::string> NetworkInterfaces::broadcast(VirtAddr device) const {
  if (!broadcast_) return std::nullopt;
  return mac_at(device, device + *broadcast_, "net_device.broadcast");
}

std::vector<std::string> NetworkInterfaces::additional_macs(VirtAddr device) const {
  std::vector<std::string> found;
  if (!macs_ || !mac_node_ || !mac_in_node_) return found;
  const auto active = mac(device);
  for (const auto node :
       walk_list(reader_, device + *macs_, *mac_node_, "net_device.dev_addrs", kListLimit)) {
    auto text = mac_at(device, node + *mac_in_node_, "netdev_hw_addr.addr");
    if (text && text != active) found.push_back(std::move(*text));
  }
  return found;
}

// dev_get_flags() in net/core/dev.c.
std::optional<std::uint32_t> NetworkInterfaces::flags(VirtAddr device) const {
  const auto kept = reader_.get(device, flags_);
  const auto asked = reader_.get(device, asked_flags_);
  const auto state = reader_.get(device, state_);
  const auto oper = reader_.get(device, operstate_);
  if (!kept || !asked || !state || !oper) return std::nullopt;
  constexpr std::uint32_t kAsked = kPromiscuous | kAllMulticast;
  auto flags = (*kept & ~(kAsked | kRunning | kLowerUp | kDormant)) | (*asked & kAsked);
  if ((*state & kStarted) == 0) return flags;
  if (*oper == kOperUp || *oper == kOperUnknown) flags |= kRunning;
  if ((*state & kNoCarrier) == 0) flags |= kLowerUp;
  if ((*state & kIsDormant) != 0) flags |= kDormant;
  return flags;
}

std::optional<std::uint32_t> NetworkInterfaces::operational_state(VirtAddr device) const {
  const auto state = reader_.get(device, state_);
  if (!state) return std::nullopt;
  return (*state & kStarted) != 0 ? reader_.get(device, operstate_) : kOperDown;
}

std::optional<std::string> NetworkInterfaces::kind(VirtAddr device) const {
  const auto operations = reader_.follow(device, link_operations_);
  const auto text = operations ? reader_.follow(*operations, kind_) : std::nullopt;
  return text ? reader_.text_at(*text, kKindLimit, kind_.name) : std::nullopt;
}

std::optional<std::string> NetworkInterfaces::queueing_discipline(VirtAddr device) const {
  const auto root = reader_.follow(device, discipline_);
  const auto operations = root ? reader_.follow(*root, discipline_operations_) : std::nullopt;
  return operations ? reader_.text(*operations, discipline_name_) : std::nullopt;
}

std::optional<std::string> NetworkInterfaces::alias(VirtAddr device) const {
  const auto object = reader_.follow(device, alias_);
  if (!object || !alias_text_) return std::nullopt;
  return reader_.text_at(*object + *alias_text_, kAliasLimit, alias_.name);
}

std::vector<std::string> NetworkInterfaces::alternative_names(VirtAddr device) const {
  std::vector<std::string> names;
  const auto own = reader_.follow(device, name_node_);
  if (!own || !alternative_node_) return names;
  for (const auto node : walk_list(reader_, *own + *alternative_node_, *alternative_node_,
                                   "net_device.name_node", kListLimit)) {
    const auto name = reader_.follow(node, alternative_name_);
    auto text = name ? reader_.text_at(*name, kNameLimit, alternative_name_.name) : std::nullopt;
    if (text) names.push_back(std::move(*text));
  }
  return names;
}

// netdev_master_upper_dev_get() in net/core/dev.c.
std::optional<VirtAddr> NetworkInterfaces::master(VirtAddr device) const {
  if (!upper_ || !adjacent_node_) return std::nullopt;
  for (const auto upper : walk_list(reader_, device + *upper_, *adjacent_node_,
                                    "net_device.adj_list.upper", kListLimit)) {
    const auto is_master = reader_.get(upper, adjacent_is_master_);
    if (is_master && *is_master != 0) return reader_.follow(upper, adjacent_device_);
  }
  return std::nullopt;
}

// What the kernel asks the driver for (ndo_get_iflink), as the lists of neighbours know it: a
// device that is not a port of this one but lies under it.
std::optional<VirtAddr> NetworkInterfaces::link(VirtAddr device) const {
  if (!lower_ || !adjacent_node_) return std::nullopt;
  for (const auto entry : walk_list(reader_, device + *lower_, *adjacent_node_,
                                    "net_device.adj_list.lower", kListLimit)) {
    const auto lower = reader_.follow(entry, adjacent_device_);
    if (lower && master(*lower) != device) return lower;
  }
  return kind(device) == "veth" ? veth_peer(device) : std::nullopt;
}

// struct veth_priv (drivers/net/veth.c) begins with the other end, and the other end's with this
// one: that is the proof, as the type is a module's.
std::optional<VirtAddr> NetworkInterfaces::veth_peer(VirtAddr device) const {
  if (!private_) return std::nullopt;
  const auto peer = reader_.pointer_at(device + *private_, "veth_priv.peer");
  if (!peer || !*peer) return std::nullopt;
  const auto back = reader_.pointer_at(*peer + *private_, "veth_priv.peer");
  return back == device ? peer : std::nullopt;
}

}  // namespace engram::kernel
