// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/live_walk.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

namespace engram::kernel {
namespace {

/// Without a report: what cannot be read was no object any more.
std::optional<VirtAddr> link(const Reader& reader, VirtAddr at) {
  const auto pointer = reader.space().load_pointer(at, reader.pointer_size());
  return pointer ? std::optional(*pointer) : std::nullopt;
}

/// list_head.prev
std::optional<VirtAddr> link_back(const Reader& reader, VirtAddr node) {
  return link(reader, node + reader.pointer_size());
}

bool are_neighbours(const Reader& reader, VirtAddr before, VirtAddr node) {
  return link_back(reader, node) == before && link(reader, before) == node;
}

}  // namespace

Try<VirtAddr> try_list(const Reader& reader, VirtAddr head, std::uint64_t node_offset,
                       std::size_t limit) {
  Try<VirtAddr> walk;
  std::unordered_set<std::uint64_t> seen;
  VirtAddr before = head;
  for (auto node = link(reader, head);;) {
    if (!node || !are_neighbours(reader, before, *node)) walk.is_whole = false;
    if (node == head) return walk;
    const auto next = node ? link(reader, *node) : std::nullopt;
    if (!next || walk.found.size() == limit || !seen.insert(node->value).second) {
      walk.is_whole = false;
      return walk;
    }
    walk.found.push_back(*node - node_offset);
    if (!are_neighbours(reader, before, *node)) walk.is_whole = false;
    before = *node;
    node = next;
  }
}

bool is_on_list(const Reader& reader, VirtAddr node) {
  const auto before = link_back(reader, node);
  return before && link(reader, *before) == node;
}

bool FollowedWords::still_lead_there(const Reader& reader) const {
  return std::all_of(words_.begin(), words_.end(), [&reader](const auto& followed) {
    return link(reader, followed.first) == VirtAddr(followed.second);
  });
}

void report_walk(const Reader& reader, std::string_view what, VirtAddr head, Settled settled,
                 unsigned tries) {
  if (settled == Settled::moving) {
    reader.report(what, head,
                  fmt::format("changed under each of {} walks: what they found is put together, "
                              "and something may be missing",
                              tries));
  } else if (tries > 1) {
    reader.diagnostics().add(
        Level::debug, std::string(what),
        fmt::format("walked {} times, because the guest changed it{}", tries,
                    settled == Settled::still ? "; paused in the middle of a change" : ""),
        head.value);
  }
}

}  // namespace engram::kernel
