// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/lists.h"

#include <fmt/core.h>

#include <unordered_set>

#include "kernel/linux/containers.h"
#include "kernel/windows/kernel_values.h"

namespace engram::kernel::windows {

std::vector<VirtAddr> walk_list32(const Reader& reader, VirtAddr head, std::uint64_t node_offset,
                                  std::string_view what, std::size_t limit) {
  const Field<VirtAddr> next{std::string(what), 0, sizeof(std::uint32_t)};
  std::vector<VirtAddr> entries;
  std::unordered_set<std::uint64_t> seen;
  auto node = reader.follow(head, next);
  while (node && *node != head) {
    if (entries.size() == limit || !seen.insert(node->value).second) {
      reader.report(
          what, *node,
          fmt::format("the list comes back, or does not end, after {} entries", entries.size()));
      break;
    }
    const auto following = reader.get(*node, next);
    if (!following) break;  // what cannot be read is no entry
    entries.push_back(*node - node_offset);
    if (!*following) {
      reader.report(what, head,
                    fmt::format("the list ends in NULL after {} entries", entries.size()));
      break;
    }
    node = following;
  }
  return entries;
}

std::vector<VirtAddr> walk_links(const Reader& reader, VirtAddr head, std::uint64_t node_offset,
                                 std::string_view what, std::size_t limit) {
  const auto size = pointer_size(reader.space().mode().architecture);
  return size == sizeof(std::uint32_t) ? walk_list32(reader, head, node_offset, what, limit)
                                       : walk_list(reader, head, node_offset, what, limit);
}

std::optional<VirtAddr> pointer_at(const Reader& reader, VirtAddr address, std::string_view what) {
  const auto size = pointer_size(reader.space().mode().architecture);
  return reader.get(address, Field<VirtAddr>{std::string(what), 0, size});
}

}  // namespace engram::kernel::windows
