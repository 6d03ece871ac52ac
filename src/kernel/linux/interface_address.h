// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// IP addresses of network interfaces.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

struct InterfaceAddress {
  VirtAddr address;  ///< struct in_ifaddr or inet6_ifaddr
  VirtAddr device;   ///< struct net_device
  bool is_ipv6 = false;
};

class InterfaceAddresses {
 public:
  explicit InterfaceAddresses(LinuxKernel& kernel);

  /// Those of one struct net_device, IPv4 first, in the kernel's order.
  [[nodiscard]] std::vector<InterfaceAddress> of_device(VirtAddr device) const;

  // Nothing: the member cannot be read, or this family does not have it.

  [[nodiscard]] std::optional<std::string> local(const InterfaceAddress& of) const;
  /// The other end of a point-to-point link.
  [[nodiscard]] std::optional<std::string> peer(const InterfaceAddress& of) const;
  [[nodiscard]] std::optional<std::string> broadcast(const InterfaceAddress& of) const;
  /// Bits.
  [[nodiscard]] std::optional<std::uint32_t> prefix_length(const InterfaceAddress& of) const {
    return reader_.get(of.address, of.is_ipv6 ? prefix_length6_ : prefix_length4_);
  }
  /// As text: dotted for IPv4, the prefix length for IPv6.
  [[nodiscard]] std::optional<std::string> mask(const InterfaceAddress& of) const;
  [[nodiscard]] std::optional<std::string> label(const InterfaceAddress& of) const;
  /// RT_SCOPE_*.
  [[nodiscard]] std::optional<std::uint32_t> scope(const InterfaceAddress& of) const;
  /// IFA_F_*.
  [[nodiscard]] std::optional<std::uint32_t> flags(const InterfaceAddress& of) const {
    return reader_.get(of.address, of.is_ipv6 ? flags6_ : flags4_);
  }

 private:
  const Reader& reader_;
  Field<VirtAddr> in_device_, in6_device_, first4_, next4_;
  std::optional<std::uint64_t> list6_, node6_, local4_, peer4_, mask4_, broadcast4_, local6_,
      peer6_;
  Field<std::uint32_t> prefix_length4_, prefix_length6_, flags4_, flags6_, scope4_, scope6_;
  TextField label_;
};

}  // namespace engram::kernel
