// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's tables of routes: IPv4's tries and IPv6's trees.

#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "kernel/linux/hash_chains.h"
#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

class LinuxKernel;

/// One next hop of a route. A route with several has as many of these, all with its address.
struct Route {
  VirtAddr address;   ///< struct fib_alias (IPv4) or fib6_info (IPv6)
  VirtAddr info;      ///< struct fib_info, which routes share; or fib6_info again
  VirtAddr net;       ///< struct net
  VirtAddr next_hop;  ///< struct fib_nh_common; NULL if it has none
  std::uint32_t table = 0;
  std::uint32_t destination = 0;  ///< IPv4, in host order
  std::uint32_t object_id = 0;    ///< of the nexthop object (ip nexthop) that it uses; 0 for none
  std::uint32_t weight = 0;       ///< in the group of that object; 0: the next hop has its own
  bool is_ipv6 = false;
};

/// Walks every table of every network namespace, once.
class RouteTables {
 public:
  explicit RouteTables(LinuxKernel& kernel);

  /// Each route once, by namespace, IPv4 first, by table of the kernel, by destination. What is
  /// damaged ends the walk of its part of a table and is a diagnostics row.
  [[nodiscard]] std::vector<Route> read();

  static constexpr std::size_t kRouteLimit = 1U << 22U;
  static constexpr std::size_t kNodeLimit = 1U << 22U;

 private:
  struct TrieNode {
    VirtAddr address;
    unsigned room = 0;  ///< bits of the key that its parent has left for it
  };

  void read_ipv4(VirtAddr net);
  void read_trie(VirtAddr net, VirtAddr trie);
  void read_leaf(VirtAddr net, VirtAddr leaf, std::uint32_t key);
  void push_children(VirtAddr node, unsigned pos, unsigned bits, std::vector<TrieNode>& rest);
  void add_ipv4(VirtAddr net, VirtAddr alias, std::uint32_t key);
  void read_ipv6(VirtAddr net);
  void read_tree(VirtAddr net, VirtAddr table, VirtAddr null_entry);
  void add_ipv6(const Route& route);
  void add_object(Route route, VirtAddr object);
  void add_group(Route route, VirtAddr object, VirtAddr group);
  /// Whether a next hop says that it is one of `object`: of a count that is damaged most are not.
  bool is_hop_of(VirtAddr object, VirtAddr hop, const Field<VirtAddr>& parent);
  void add(const Route& route);
  void stop();
  [[nodiscard]] bool is_new_node(VirtAddr node, std::string_view what);

  LinuxKernel& kernel_;
  const Reader& reader_;
  HashChains tables4_, tables6_, aliases_;
  std::vector<Route> found_;
  std::unordered_set<std::uint64_t> seen_nodes_;
  bool is_full_ = false;

  Field<VirtAddr> heads4_, trie_;
  std::uint64_t head_count4_ = 0;
  std::optional<std::uint64_t> trie_root_, children_, leaf_;
  Field<std::uint32_t> key_;
  Field<std::uint8_t> pos_, bits_;
  Field<VirtAddr> info_, object4_, hop_parent4_;
  Field<std::uint32_t> table4_, hop_count4_;
  std::optional<std::uint64_t> hops4_, hop_size4_;

  Field<VirtAddr> heads6_, null_entry_;
  std::uint64_t head_count6_ = 0;
  std::optional<std::uint64_t> root6_;
  Field<VirtAddr> left_, right_, subtree_, leaf6_, next6_, object6_;
  Field<std::uint32_t> table6_, node_flags_;
  std::optional<std::uint64_t> hop6_;

  Field<std::uint32_t> object_id_, group_size_, group_weight_;
  Field<std::uint8_t> is_group_;
  Field<VirtAddr> object_info_, object_group_, member_object_, member_parent_;
  std::optional<std::uint64_t> hop_in_object_, members_, member_size_;
};

}  // namespace engram::kernel
