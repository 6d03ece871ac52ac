// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/neighbour.h"

#include <fmt/core.h>

#include "kernel/linux/hash_chains.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kHead = 8;         // a pointer, or struct hlist_head
constexpr std::uint64_t kProxyHeads = 16;  // PNEIGH_HASHMASK + 1, net/core/neighbour.c
constexpr std::uint32_t kShiftLimit = 24;  // the size of a table is bounded by gc_thresh3
// NUD_VALID, include/net/neighbour.h: PERMANENT, NOARP, REACHABLE, PROBE, STALE, DELAY.
constexpr std::uint32_t kMacIsKnown = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;

}  // namespace

Neighbours::Neighbours(LinuxKernel& kernel) : reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout neighbour(types, diagnostics, "neighbour");
  key_ = neighbour.offset_of("primary_key");
  mac_ = neighbour.offset_of("ha");
  state_ = neighbour.field<std::uint32_t>("nud_state");
  flags_ = neighbour.field<std::uint32_t>("flags");
  device_ = neighbour.field<VirtAddr>("dev");
  const Layout proxy(types, diagnostics, "pneigh_entry");
  proxy_key_ = proxy.offset_of("key");
  proxy_flags_ = proxy.field<std::uint32_t>("flags");
  proxy_device_ = proxy.field<VirtAddr>("dev");
  proxy_net_ = proxy.optional_field<VirtAddr>("net.net");  // CONFIG_NET_NS
  const auto four = kernel.address_of("arp_tbl");
  if (!four) {
    diagnostics.add(Level::warning, "arp_cache", "the kernel has no symbol arp_tbl: no entries");
  }
  const auto six = kernel.address_of("nd_tbl");  // CONFIG_IPV6
  if (four) read_table(*four, false, types);
  if (six) read_table(*six, true, types);
  if (four) read_proxies(*four, false, types);
  if (six) read_proxies(*six, true, types);
}

void Neighbours::read_table(VirtAddr table, bool is_ipv6, const types::TypeDb& types) {
  auto& diagnostics = reader_.diagnostics();
  const auto member = Layout(types, diagnostics, "neigh_table").field<VirtAddr>("nht");
  // With ipv6.disable=1 nobody has made the table of IPv6.
  const auto hash = is_ipv6 ? reader_.follow(table, member) : reader_.require(table, member);
  if (!hash) return;
  // Chains of neighbours by a pointer of their own up to 6.12, then by a list node.
  const Layout layout(types, diagnostics, "neigh_hash_table");
  const auto heads =
      reader_.require(*hash, layout.first_of<VirtAddr>({"hash_heads", "hash_buckets"}));
  const auto shift = reader_.get(*hash, layout.field<std::uint32_t>("hash_shift"));
  const auto node = Layout(types, diagnostics, "neighbour").optional_offset_of("hash");
  if (!heads || !shift) return;
  if (*shift > kShiftLimit) {
    reader_.report("neigh_hash_table.hash_shift", *hash,
                   fmt::format("{}, at most {} expected", *shift, kShiftLimit));
    return;
  }
  const std::uint64_t offset = node.value_or(0);
  HashChains(reader_, is_ipv6 ? "nd_tbl" : "arp_tbl")
      .table(*heads, std::uint64_t{1} << *shift, kHead, [&](VirtAddr found) {
        all_.push_back({found - offset, is_ipv6, false});
      });
}

void Neighbours::read_proxies(VirtAddr table, bool is_ipv6, const types::TypeDb& types) {
  const Layout layout(types, reader_.diagnostics(), "neigh_table");
  const auto member = layout.field<VirtAddr>("phash_buckets");
  const auto heads = is_ipv6 ? reader_.follow(table, member) : reader_.require(table, member);
  if (!heads) return;
  HashChains(reader_, is_ipv6 ? "nd_tbl.phash_buckets" : "arp_tbl.phash_buckets")
      .table(*heads, kProxyHeads, kHead, [&](VirtAddr found) {
        all_.push_back({found, is_ipv6, true});
      });
}

std::optional<std::string> Neighbours::ip(const Neighbour& of) const {
  const auto& offset = of.is_proxy ? proxy_key_ : key_;
  if (!offset) return std::nullopt;
  return read_ip(reader_, of.address + *offset, of.is_ipv6,
                 of.is_proxy ? "pneigh_entry.key" : "neighbour.primary_key");
}

// neigh_fill_info() in net/core/neighbour.c.
std::optional<std::string> Neighbours::mac(const Neighbour& of, std::uint64_t length) const {
  const auto now = state(of);
  if (!now || !mac_ || (*now & kMacIsKnown) == 0) return std::nullopt;
  const auto bytes = read_mac(reader_, of.address + *mac_, length, "neighbour.ha");
  return bytes ? std::optional(mac_text(*bytes)) : std::nullopt;
}

}  // namespace engram::kernel
