// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Neighbours: which hardware address belongs to an IP address, as ARP and IPv6's neighbour
// discovery have learned it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

class LinuxKernel;

struct Neighbour {
  VirtAddr address;  ///< struct neighbour; of a proxy's entry struct pneigh_entry
  bool is_ipv6 = false;
  bool is_proxy = false;  ///< an address for which this machine answers
};

class Neighbours {
 public:
  explicit Neighbours(LinuxKernel& kernel);

  /// Each entry of all network namespaces once: IPv4, then IPv6; proxies behind the others.
  [[nodiscard]] const std::vector<Neighbour>& all() const { return all_; }

  // Nothing: it cannot be read, or this kind of entry does not have it.

  [[nodiscard]] std::optional<std::string> ip(const Neighbour& of) const;
  /// The hardware address, `length` bytes; nothing while it is not known.
  [[nodiscard]] std::optional<std::string> mac(const Neighbour& of, std::uint64_t length) const;
  /// NUD_*.
  [[nodiscard]] std::optional<std::uint32_t> state(const Neighbour& of) const {
    return of.is_proxy ? std::nullopt : reader_.get(of.address, state_);
  }
  /// NTF_*.
  [[nodiscard]] std::optional<std::uint32_t> flags(const Neighbour& of) const {
    return reader_.get(of.address, of.is_proxy ? proxy_flags_ : flags_);
  }
  /// The struct net_device.
  [[nodiscard]] std::optional<VirtAddr> device(const Neighbour& of) const {
    return reader_.follow(of.address, of.is_proxy ? proxy_device_ : device_);
  }
  /// The struct net of a proxy's entry; of any other, its device knows.
  [[nodiscard]] std::optional<VirtAddr> proxy_net(const Neighbour& of) const {
    return of.is_proxy ? reader_.follow(of.address, proxy_net_) : std::nullopt;
  }

 private:
  void read_table(VirtAddr table, bool is_ipv6, const types::TypeDb& types);
  void read_proxies(VirtAddr table, bool is_ipv6, const types::TypeDb& types);

  const Reader& reader_;
  std::vector<Neighbour> all_;
  std::optional<std::uint64_t> key_, mac_, proxy_key_;
  Field<std::uint32_t> state_, flags_, proxy_flags_;
  Field<VirtAddr> device_, proxy_device_, proxy_net_;
};

}  // namespace engram::kernel
