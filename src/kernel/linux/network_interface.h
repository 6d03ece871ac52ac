// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Network interfaces of every network namespace.

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

/// Which interface, and where it is listed. Everything else is read on demand.
struct NetworkInterface {
  VirtAddr address;    ///< struct net_device
  VirtAddr net;        ///< struct net whose list it is on
  VirtAddr list_head;  ///< of that list
};

class NetworkInterfaces {
 public:
  explicit NetworkInterfaces(LinuxKernel& kernel);

  /// Each interface once, by namespace, in the order in which they were made.
  [[nodiscard]] const std::vector<NetworkInterface>& all() const { return all_; }
  /// The one at an address; nothing if no namespace lists it.
  [[nodiscard]] const NetworkInterface* find(VirtAddr device) const;
  /// Inode number of a network namespace.
  [[nodiscard]] std::optional<std::uint32_t> namespace_inode(VirtAddr net) const {
    return reader_.get(net, namespace_inode_);
  }

  // Of the struct net_device at an address. Nothing: it cannot be read, or there is none.

  /// Nothing for an empty name.
  [[nodiscard]] std::optional<std::string> name(VirtAddr device) const;
  [[nodiscard]] std::optional<std::int32_t> index(VirtAddr device) const {
    return reader_.get(device, index_);
  }
  /// The struct net that it is in; in a kernel without namespaces the one that lists it.
  [[nodiscard]] std::optional<VirtAddr> net(VirtAddr device) const;
  /// The hardware address in use, that of the hardware, those that it listens to besides, and that
  /// of all on the link. Nothing for zeros.
  [[nodiscard]] std::optional<std::string> mac(VirtAddr device) const;
  [[nodiscard]] std::optional<std::string> permanent_mac(VirtAddr device) const;
  [[nodiscard]] std::vector<std::string> additional_macs(VirtAddr device) const;
  [[nodiscard]] std::optional<std::string> broadcast(VirtAddr device) const;
  /// Bytes of a hardware address.
  [[nodiscard]] std::optional<std::uint8_t> mac_length(VirtAddr device) const {
    return reader_.get(device, mac_length_);
  }
  /// IFF_* as the kernel answers them: IFF_RUNNING, IFF_LOWER_UP and IFF_DORMANT are not kept but
  /// computed.
  [[nodiscard]] std::optional<std::uint32_t> flags(VirtAddr device) const;
  /// IF_OPER_* (RFC 2863); IF_OPER_DOWN of an interface that is not up.
  [[nodiscard]] std::optional<std::uint32_t> operational_state(VirtAddr device) const;
  /// ARPHRD_*.
  [[nodiscard]] std::optional<std::uint16_t> type(VirtAddr device) const {
    return reader_.get(device, type_);
  }
  /// 'vlan', 'bridge', 'veth' ...; nothing for hardware and the loopback.
  [[nodiscard]] std::optional<std::string> kind(VirtAddr device) const;
  /// Bytes.
  [[nodiscard]] std::optional<std::uint32_t> mtu(VirtAddr device) const {
    return reader_.get(device, mtu_);
  }
  /// Packets.
  [[nodiscard]] std::optional<std::uint32_t> queue_length(VirtAddr device) const {
    return reader_.get(device, queue_length_);
  }
  [[nodiscard]] std::optional<std::int32_t> group(VirtAddr device) const {
    return reader_.get(device, group_);
  }
  /// How many ask for packets that are meant for others.
  [[nodiscard]] std::optional<std::uint32_t> promiscuity(VirtAddr device) const {
    return reader_.get(device, promiscuity_);
  }
  /// Name of the root queueing discipline.
  [[nodiscard]] std::optional<std::string> queueing_discipline(VirtAddr device) const;
  [[nodiscard]] std::optional<std::string> alias(VirtAddr device) const;
  [[nodiscard]] std::vector<std::string> alternative_names(VirtAddr device) const;
  /// The bridge, bond ... that it is a port of.
  [[nodiscard]] std::optional<VirtAddr> master(VirtAddr device) const;
  /// What it lies on (the hardware under a VLAN), or the other end of a veth.
  [[nodiscard]] std::optional<VirtAddr> link(VirtAddr device) const;

 private:
  [[nodiscard]] std::optional<std::string> mac_at(VirtAddr device, VirtAddr at,
                                                  std::string_view what) const;
  [[nodiscard]] std::optional<VirtAddr> veth_peer(VirtAddr device) const;

  const Reader& reader_;
  std::vector<NetworkInterface> all_;
  std::unordered_map<VirtAddr, std::size_t> by_address_;

  Field<std::uint32_t> namespace_inode_;
  TextField name_;
  Field<std::int32_t> index_, group_;
  Field<VirtAddr> net_, mac_, link_operations_, kind_, alias_, name_node_, alternative_name_;
  std::optional<std::uint64_t> permanent_mac_, macs_, mac_node_, mac_in_node_, broadcast_;
  Field<std::uint8_t> mac_length_;
  Field<std::uint64_t> state_;
  Field<std::uint32_t> flags_, asked_flags_, operstate_, mtu_, queue_length_, promiscuity_;
  Field<std::uint16_t> type_;
  Field<VirtAddr> discipline_, discipline_operations_;
  TextField discipline_name_;
  std::optional<std::uint64_t> alias_text_, alternative_node_;
  std::optional<std::uint64_t> upper_, lower_, adjacent_node_, private_;
  Field<VirtAddr> adjacent_device_;
  Field<std::uint8_t> adjacent_is_master_;
};

}  // namespace engram::kernel
