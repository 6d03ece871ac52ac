// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/route.h"

#include <fmt/core.h>

#include <array>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"

namespace engram::kernel {
namespace {

constexpr std::uint32_t kIpv4Bits = 32;
// RTAX_MTU, include/uapi/linux/rtnetlink.h; the array begins with metric 1.
constexpr std::uint64_t kMtu = (2 - 1) * sizeof(std::uint32_t);

}  // namespace

Routes::Routes(LinuxKernel& kernel) : reader_(kernel.reader()), all_(RouteTables(kernel).read()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout alias(types, diagnostics, "fib_alias");
  service_ = alias.first_of<std::uint32_t>({"fa_dscp", "fa_tos"});  // 32ccf1107980, 5.18
  suffix_length_ = alias.field<std::uint32_t>("fa_slen");
  type4_ = alias.field<std::uint32_t>("fa_type");
  const Layout four(types, diagnostics, "fib_info");
  source4_ = four.offset_of("fib_prefsrc");
  metric4_ = four.field<std::uint32_t>("fib_priority");
  protocol4_ = four.field<std::uint32_t>("fib_protocol");
  scope4_ = four.field<std::uint32_t>("fib_scope");
  flags4_ = four.field<std::uint32_t>("fib_flags");
  metrics4_ = four.field<VirtAddr>("fib_metrics");
  metric_values_ = Layout(types, diagnostics, "dst_metrics").offset_of("metrics");
  const Layout hop(types, diagnostics, "fib_nh_common");
  device_ = hop.field<VirtAddr>("nhc_dev");
  gateway_family_ = hop.field<std::uint32_t>("nhc_gw_family");
  gateway_ = hop.offset_of("nhc_gw");
  hop_flags_ = hop.field<std::uint32_t>("nhc_flags");
  hop_weight_ = hop.field<std::uint32_t>("nhc_weight");
  if (!types.find_struct("fib6_info")) return;  // CONFIG_IPV6
  const Layout six(types, diagnostics, "fib6_info");
  type6_ = six.field<std::uint32_t>("fib6_type");
  metric6_ = six.field<std::uint32_t>("fib6_metric");
  protocol6_ = six.field<std::uint32_t>("fib6_protocol");
  metrics6_ = six.field<VirtAddr>("fib6_metrics");
  destination6_ = six.offset_of("fib6_dst.addr");
  destination_length6_ = six.field<std::uint32_t>("fib6_dst.plen");
  source6_ = six.offset_of("fib6_prefsrc.addr");
  source_length6_ = six.field<std::uint32_t>("fib6_prefsrc.plen");
  from6_ = six.optional_offset_of("fib6_src.addr");  // CONFIG_IPV6_SUBTREES
  from_length6_ = six.optional_field<std::uint32_t>("fib6_src.plen");
}

std::optional<std::string> Routes::destination(const Route& route) const {
  if (route.is_ipv6) {
    if (!destination6_) return std::nullopt;
    return read_ip(reader_, route.info + *destination6_, true, "fib6_info.fib6_dst");
  }
  const std::array<std::byte, 4> bytes = {
      std::byte(route.destination >> 24U), std::byte(route.destination >> 16U & 0xffU),
      std::byte(route.destination >> 8U & 0xffU), std::byte(route.destination & 0xffU)};
  return ip_text(bytes);
}

std::optional<std::uint32_t> Routes::prefix_length(const Route& route) const {
  if (route.is_ipv6) return reader_.get(route.info, destination_length6_);
  const auto suffix = reader_.get(route.address, suffix_length_);
  if (!suffix) return std::nullopt;
  if (*suffix > kIpv4Bits) {
    reader_.report(suffix_length_.name, route.address,
                   fmt::format("{}, at most {} expected", *suffix, kIpv4Bits));
    return std::nullopt;
  }
  return kIpv4Bits - *suffix;
}

std::optional<std::string> Routes::from(const Route& route) const {
  if (!route.is_ipv6 || !from6_) return std::nullopt;
  const auto length = reader_.get(route.info, from_length6_);
  if (!length || *length == 0) return std::nullopt;
  const auto address = read_ip(reader_, route.info + *from6_, true, "fib6_info.fib6_src");
  return address ? std::optional(fmt::format("{}/{}", *address, *length)) : std::nullopt;
}

// inet_dscp_to_dsfield() in include/net/inet_dscp.h: both members are in the bits of the header.
std::optional<std::uint32_t> Routes::service(const Route& route) const {
  return route.is_ipv6 ? std::nullopt : reader_.get(route.address, service_);
}

std::optional<std::string> Routes::preferred_source(const Route& route) const {
  if (!route.is_ipv6) {
    if (!source4_ || !route.info) return std::nullopt;
    return read_ip_unless_zero(reader_, route.info + *source4_, false, "fib_info.fib_prefsrc");
  }
  const auto length = reader_.get(route.info, source_length6_);
  if (!source6_ || !length || *length == 0) return std::nullopt;
  return read_ip(reader_, route.info + *source6_, true, "fib6_info.fib6_prefsrc");
}

std::optional<std::uint32_t> Routes::scope(const Route& route) const {
  return route.is_ipv6 ? 0 : reader_.get(route.info, scope4_);
}

std::optional<std::uint32_t> Routes::mtu(const Route& route) const {
  const auto metrics = reader_.follow(route.info, route.is_ipv6 ? metrics6_ : metrics4_);
  if (!metrics || !metric_values_) return std::nullopt;
  const auto mtu =
      reader_.get(*metrics, Field<std::uint32_t>{"dst_metrics.metrics", *metric_values_ + kMtu});
  return mtu == 0U ? std::nullopt : mtu;
}

std::optional<std::uint32_t> Routes::flags(const Route& route) const {
  const auto own =
      route.is_ipv6 ? std::optional<std::uint32_t>(0) : reader_.get(route.info, flags4_);
  if (!own || !route.next_hop) return own;
  const auto hop = reader_.get(route.next_hop, hop_flags_);
  return hop ? std::optional(*own | *hop) : std::nullopt;
}

// IPv4's routes may have gateways of IPv6 (via inet6).
std::optional<std::string> Routes::gateway(const Route& route) const {
  const auto family = reader_.get(route.next_hop, gateway_family_);
  if (!family || !gateway_ || (*family != kFamilyInet && *family != kFamilyInet6)) {
    return std::nullopt;
  }
  return read_ip(reader_, route.next_hop + *gateway_, *family == kFamilyInet6,
                 "fib_nh_common.nhc_gw");
}

std::optional<std::uint32_t> Routes::weight(const Route& route) const {
  return route.weight != 0 ? route.weight : reader_.get(route.next_hop, hop_weight_);
}

}  // namespace engram::kernel
