// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Routes of every network namespace: what is read of each of them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/linux/reader.h"
#include "kernel/linux/route_tables.h"

namespace engram::kernel {

class LinuxKernel;

class Routes {
 public:
  explicit Routes(LinuxKernel& kernel);

  /// By namespace, IPv4 first, by table of the kernel, by destination.
  [[nodiscard]] const std::vector<Route>& all() const { return all_; }

  // Nothing: the member cannot be read, or the route does not have it.

  [[nodiscard]] std::optional<std::string> destination(const Route& route) const;
  /// Bits.
  [[nodiscard]] std::optional<std::uint32_t> prefix_length(const Route& route) const;
  /// IPv6: 'ADDRESS/BITS' that a packet must come from; nothing for any.
  [[nodiscard]] std::optional<std::string> from(const Route& route) const;
  /// IPv4: type of service that a packet must have, as in its header.
  [[nodiscard]] std::optional<std::uint32_t> service(const Route& route) const;
  /// RTN_*.
  [[nodiscard]] std::optional<std::uint32_t> type(const Route& route) const {
    return reader_.get(route.address, route.is_ipv6 ? type6_ : type4_);
  }
  [[nodiscard]] std::optional<std::string> preferred_source(const Route& route) const;
  [[nodiscard]] std::optional<std::uint32_t> metric(const Route& route) const {
    return reader_.get(route.info, route.is_ipv6 ? metric6_ : metric4_);
  }
  /// RTPROT_*.
  [[nodiscard]] std::optional<std::uint32_t> protocol(const Route& route) const {
    return reader_.get(route.info, route.is_ipv6 ? protocol6_ : protocol4_);
  }
  /// RT_SCOPE_*; IPv6 has one only.
  [[nodiscard]] std::optional<std::uint32_t> scope(const Route& route) const;
  /// Bytes, if the route has an MTU of its own.
  [[nodiscard]] std::optional<std::uint32_t> mtu(const Route& route) const;
  /// RTNH_F_*, those of the next hop included.
  [[nodiscard]] std::optional<std::uint32_t> flags(const Route& route) const;
  [[nodiscard]] std::optional<std::string> gateway(const Route& route) const;
  /// The struct net_device.
  [[nodiscard]] std::optional<VirtAddr> device(const Route& route) const {
    return reader_.follow(route.next_hop, device_);
  }
  /// Share of the packets among the next hops of the route.
  [[nodiscard]] std::optional<std::uint32_t> weight(const Route& route) const;

 private:
  const Reader& reader_;
  std::vector<Route> all_;

  Field<std::uint32_t> service_, suffix_length_, type4_, metric4_, protocol4_, scope4_, flags4_;
  std::optional<std::uint64_t> source4_;
  Field<std::uint32_t> type6_, metric6_, protocol6_, destination_length6_, from_length6_,
      source_length6_;
  std::optional<std::uint64_t> destination6_, from6_, source6_;
  Field<VirtAddr> metrics4_, metrics6_;
  std::optional<std::uint64_t> metric_values_;

  std::optional<std::uint64_t> gateway_;
  Field<VirtAddr> device_;
  Field<std::uint32_t> gateway_family_, hop_flags_, hop_weight_;
};

}  // namespace engram::kernel
