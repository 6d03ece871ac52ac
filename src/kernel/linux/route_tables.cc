// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/route_tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/network_values.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kHead = 8;  // struct hlist_head; tables and aliases begin with a node
constexpr unsigned kKeyBits = 32;   // KEYLENGTH, net/ipv4/fib_trie.c
// halve() keeps a node at least a quarter full: this takes more routes than there are.
constexpr unsigned kNodeBits = 24;
constexpr std::uint32_t kHops = 1U << 14U;  // more do not fit into the message that adds a route
constexpr std::uint32_t kHasRoutes = 4;     // RTN_RTINFO, include/net/ip6_fib.h

/// Heads of a namespace's table of tables: FIB_TABLE_HASHSZ and FIB6_TABLE_HASHSZ are 256 in
/// kernels that have several tables (CONFIG_IP_MULTIPLE_TABLES), which have rules to choose among
/// them.
std::uint64_t heads(const types::TypeDb& types, std::string_view rules, std::uint64_t without) {
  return types.find_member("net", rules) ? 256 : without;
}

}  // namespace

RouteTables::RouteTables(LinuxKernel& kernel)
    : kernel_(kernel),
      reader_(kernel.reader()),
      tables4_(reader_, "netns_ipv4.fib_table_hash"),
      tables6_(reader_, "netns_ipv6.fib_table_hash"),
      aliases_(reader_, "fib_alias.fa_list") {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout net(types, diagnostics, "net");
  heads4_ = net.field<VirtAddr>("ipv4.fib_table_hash");
  head_count4_ = heads(types, "ipv4.rules_ops", 2);
  const Layout table(types, diagnostics, "fib_table");
  trie_ = table.field<VirtAddr>("tb_data");
  trie_root_ = Layout(types, diagnostics, "trie").offset_of("kv");
  const Layout node(types, diagnostics, "key_vector");
  key_ = node.field<std::uint32_t>("key");
  pos_ = node.field<std::uint8_t>("pos");
  bits_ = node.field<std::uint8_t>("bits");
  children_ = node.offset_of("tnode");
  leaf_ = node.offset_of("leaf");
  const Layout alias(types, diagnostics, "fib_alias");
  info_ = alias.field<VirtAddr>("fa_info");
  table4_ = alias.field<std::uint32_t>("tb_id");
  const Layout info(types, diagnostics, "fib_info");
  hop_count4_ = info.field<std::uint32_t>("fib_nhs");
  hops4_ = info.offset_of("fib_nh");
  object4_ = info.field<VirtAddr>("nh");
  const Layout hop(types, diagnostics, "fib_nh");
  hop_size4_ = hop.size();
  hop_parent4_ = hop.field<VirtAddr>("nh_parent");

  const Layout object(types, diagnostics, "nexthop");
  object_id_ = object.field<std::uint32_t>("id");
  is_group_ = object.field<std::uint8_t>("is_group");
  object_info_ = object.field<VirtAddr>("nh_info");
  object_group_ = object.field<VirtAddr>("nh_grp");
  hop_in_object_ = Layout(types, diagnostics, "nh_info").offset_of("fib_nhc");
  const Layout group(types, diagnostics, "nh_group");
  group_size_ = group.field<std::uint32_t>("num_nh");
  members_ = group.offset_of("nh_entries");
  const Layout member(types, diagnostics, "nh_grp_entry");
  member_object_ = member.field<VirtAddr>("nh");
  group_weight_ = member.field<std::uint32_t>("weight");
  member_parent_ = member.field<VirtAddr>("nh_parent");
  member_size_ = member.size();

  if (!types.find_struct("fib6_info")) return;  // CONFIG_IPV6
  heads6_ = net.field<VirtAddr>("ipv6.fib_table_hash");
  head_count6_ = heads(types, "ipv6.fib6_rules_ops", 1);
  null_entry_ = net.field<VirtAddr>("ipv6.fib6_null_entry");
  const Layout table6(types, diagnostics, "fib6_table");
  table6_ = table6.field<std::uint32_t>("tb6_id");
  root6_ = table6.offset_of("tb6_root");
  const Layout node6(types, diagnostics, "fib6_node");
  left_ = node6.field<VirtAddr>("left");
  right_ = node6.field<VirtAddr>("right");
  subtree_ = node6.optional_field<VirtAddr>("subtree");  // CONFIG_IPV6_SUBTREES
  leaf6_ = node6.field<VirtAddr>("leaf");
  node_flags_ = node6.field<std::uint32_t>("fn_flags");
  const Layout info6(types, diagnostics, "fib6_info");
  next6_ = info6.field<VirtAddr>("fib6_next");
  object6_ = info6.field<VirtAddr>("nh");
  hop6_ = info6.offset_of("fib6_nh");
}

std::vector<Route> RouteTables::read() {
  for (const auto net : network_namespaces(kernel_)) {
    read_ipv4(net);
    read_ipv6(net);
  }
  return std::move(found_);
}

void RouteTables::add(const Route& route) {
  if (is_full_) return;
  if (found_.size() == kRouteLimit) {
    stop();
    reader_.report("routes", route.address, fmt::format("more than {} routes", kRouteLimit));
    return;
  }
  found_.push_back(route);
}

// A route may have thousands of next hops that it shares with millions of others: once there are
// too many, nobody goes on to look at what cannot be added.
void RouteTables::stop() {
  is_full_ = true;
  tables4_.stop();
  tables6_.stop();
  aliases_.stop();
}

bool RouteTables::is_new_node(VirtAddr node, std::string_view what) {
  if (seen_nodes_.size() == kNodeLimit) {
    stop();
    reader_.report(what, node, fmt::format("more than {} nodes in all tables", kNodeLimit));
    return false;
  }
  if (seen_nodes_.insert(node.value).second) return true;
  reader_.report(what, node, "the table reaches this node twice");
  return false;
}

// The tables of addresses and of routes are one trie until there are rules that part them
// (fib_trie_unmerge() in net/ipv4/fib_trie.c), so that each route tells its own table.
void RouteTables::read_ipv4(VirtAddr net) {
  const auto heads = reader_.require(net, heads4_);
  if (!heads) return;
  std::vector<VirtAddr> tries;
  tables4_.table(*heads, head_count4_, kHead, [&](VirtAddr table) {
    const auto trie = reader_.require(table, trie_);
    if (trie && std::find(tries.begin(), tries.end(), *trie) == tries.end()) {
      tries.push_back(*trie);
      read_trie(net, *trie);
    }
  });
}

void RouteTables::read_trie(VirtAddr net, VirtAddr trie) {
  if (!trie_root_ || !children_) return;
  const auto first = reader_.pointer_at(trie + *trie_root_ + *children_, "trie.kv");
  if (!first || !*first) return;
  std::vector<TrieNode> rest = {{*first, kKeyBits}};
  while (!rest.empty() && !is_full_) {
    const auto [node, room] = rest.back();
    rest.pop_back();
    if (!is_new_node(node, "key_vector")) continue;
    const auto key = reader_.get(node, key_);
    const auto pos = reader_.get(node, pos_);
    const auto bits = reader_.get(node, bits_);
    if (!key || !pos || !bits) continue;
    if (*bits == 0) {
      read_leaf(net, node, *key);
    } else if (*bits > kNodeBits || unsigned{*pos} + *bits > room) {
      reader_.report("key_vector", node,
                     fmt::format("{} bits at bit {}, at most {} in the lower {} expected", *bits,
                                 *pos, kNodeBits, room));
    } else {
      push_children(node, *pos, *bits, rest);
    }
  }
}

/// In such an order that the child with the lowest key comes first.
void RouteTables::push_children(VirtAddr node, unsigned pos, unsigned bits,
                                std::vector<TrieNode>& rest) {
  constexpr std::uint64_t kBlock = kPageSize / sizeof(std::uint64_t);
  std::array<std::uint64_t, kBlock> words{};
  const std::uint64_t count = std::uint64_t{1} << bits;
  for (std::uint64_t end = count; end != 0;) {
    const std::uint64_t now = std::min(kBlock, end);
    end -= now;
    const auto block = std::span(words).first(static_cast<std::size_t>(now));
    const auto from = node + *children_ + end * sizeof(std::uint64_t);
    if (const auto read = reader_.space().read_exact(from, std::as_writable_bytes(block)); !read) {
      reader_.report("key_vector.tnode", from, paging::to_string(read.error()));
      continue;
    }
    for (auto word = block.rbegin(); word != block.rend(); ++word) {
      if (*word != 0 && rest.size() < kNodeLimit) rest.push_back({VirtAddr(*word), pos});
    }
  }
}

void RouteTables::read_leaf(VirtAddr net, VirtAddr leaf, std::uint32_t key) {
  if (!leaf_) return;
  const auto first = reader_.pointer_at(leaf + *leaf_, "key_vector.leaf");
  if (!first) return;
  aliases_.chain(*first, [&](VirtAddr alias) { add_ipv4(net, alias, key); });
}

void RouteTables::add_ipv4(VirtAddr net, VirtAddr alias, std::uint32_t key) {
  Route route;
  route.address = alias;
  route.net = net;
  route.destination = key;
  route.table = reader_.get(alias, table4_).value_or(0);
  const auto info = reader_.require(alias, info_);
  if (!info) return add(route);
  route.info = *info;
  if (const auto object = reader_.follow(*info, object4_)) return add_object(route, *object);
  auto count = reader_.get(*info, hop_count4_).value_or(0);
  if (count > kHops) {
    reader_.report(hop_count4_.name, *info, fmt::format("{}, at most {} expected", count, kHops));
    count = 0;
  }
  if (count == 0 || !hops4_ || !hop_size4_) return add(route);
  for (std::uint64_t i = 0; i < count && !is_full_; ++i) {
    const auto hop = *info + *hops4_ + i * *hop_size4_;
    if (i > 0 && !is_hop_of(*info, hop, hop_parent4_)) return;
    route.next_hop = hop;
    add(route);
  }
}

void RouteTables::read_ipv6(VirtAddr net) {
  const auto heads = reader_.follow(net, heads6_);
  const auto null_entry = reader_.get(net, null_entry_);
  if (!heads || !null_entry) return;
  tables6_.table(*heads, head_count6_, kHead,
                 [&](VirtAddr table) { read_tree(net, table, *null_entry); });
}

// fib6_walk_continue() in net/ipv6/ip6_fib.c. The entry that stands for "no route" is none.
void RouteTables::read_tree(VirtAddr net, VirtAddr table, VirtAddr null_entry) {
  const auto id = reader_.get(table, table6_);
  if (!id || !root6_) return;
  std::vector<VirtAddr> rest = {table + *root6_};
  while (!rest.empty() && !is_full_) {
    const auto node = rest.back();
    rest.pop_back();
    if (!is_new_node(node, "fib6_node")) continue;
    for (const auto& member : {right_, left_, subtree_}) {
      if (const auto next = reader_.follow(node, member)) rest.push_back(*next);
    }
    const auto flags = reader_.get(node, node_flags_);
    if (!flags || (*flags & kHasRoutes) == 0) continue;
    for (const auto info : walk_chain(reader_, node, leaf6_, next6_)) {
      if (is_full_) break;
      if (info == null_entry) continue;
      Route route;
      route.address = route.info = info;
      route.net = net;
      route.table = *id;
      route.is_ipv6 = true;
      add_ipv6(route);
    }
  }
}

// The next hops of a route that was added with several are routes of their own (fib6_siblings).
void RouteTables::add_ipv6(const Route& route) {
  if (const auto object = reader_.follow(route.info, object6_)) return add_object(route, *object);
  Route whole = route;
  if (hop6_) whole.next_hop = route.info + *hop6_;
  add(whole);
}

// net/ipv4/nexthop.c.
void RouteTables::add_object(Route route, VirtAddr object) {
  route.object_id = reader_.get(object, object_id_).value_or(0);
  const auto is_group = reader_.get(object, is_group_);
  const auto group =
      is_group && *is_group != 0 ? reader_.follow(object, object_group_) : std::nullopt;
  if (group) return add_group(route, object, *group);
  const auto info = reader_.follow(object, object_info_);
  if (info && hop_in_object_) route.next_hop = *info + *hop_in_object_;
  add(route);
}

bool RouteTables::is_hop_of(VirtAddr object, VirtAddr hop, const Field<VirtAddr>& parent) {
  const auto found = reader_.get(hop, parent);
  if (!found || *found == object) return found.has_value();
  reader_.report(
      parent.name, hop,
      fmt::format("{:#x}, the object that has it at {:#x} expected", found->value, object.value));
  return false;
}

void RouteTables::add_group(Route route, VirtAddr object, VirtAddr group) {
  auto count = reader_.get(group, group_size_).value_or(0);
  if (count > kHops) {
    reader_.report(group_size_.name, group, fmt::format("{}, at most {} expected", count, kHops));
    count = 0;
  }
  if (count == 0 || !members_ || !member_size_) return add(route);
  for (std::uint64_t i = 0; i < count && !is_full_; ++i) {
    const auto member = group + *members_ + i * *member_size_;
    if (!is_hop_of(object, member, member_parent_)) return i == 0 ? add(route) : void();
    const auto single = reader_.follow(member, member_object_);
    const auto info = single ? reader_.follow(*single, object_info_) : std::nullopt;
    route.next_hop = info && hop_in_object_ ? *info + *hop_in_object_ : VirtAddr();
    route.weight = reader_.get(member, group_weight_).value_or(0);
    add(route);
  }
}

}  // namespace engram::kernel
