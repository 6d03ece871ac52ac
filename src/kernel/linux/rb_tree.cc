// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/rb_tree.h"

#include <fmt/core.h>

#include <unordered_set>

namespace engram::kernel {

RbTreeWalker::RbTreeWalker(const types::TypeDb& types, Reader reader) : reader_(reader) {
  const Layout node(types, reader_.diagnostics(), "rb_node");
  left_ = node.field<VirtAddr>("rb_left");
  right_ = node.field<VirtAddr>("rb_right");
}

std::vector<VirtAddr> RbTreeWalker::walk(std::optional<VirtAddr> root, std::string_view what,
                                         std::size_t limit) const {
  std::vector<VirtAddr> found;
  std::unordered_set<std::uint64_t> seen;
  std::vector<VirtAddr> above;
  auto node = root;
  while (node || !above.empty()) {
    if (node) {
      if (!seen.insert(node->value).second || above.size() == kDepthLimit || seen.size() > limit) {
        reader_.report(what, *node, fmt::format("no tree after {} nodes", seen.size()));
        return found;
      }
      above.push_back(*node);
      node = reader_.follow(*node, left_);
      continue;
    }
    const auto top = above.back();
    above.pop_back();
    const auto right = reader_.get(top, right_);
    if (!right) continue;
    found.push_back(top);
    if (*right) node = right;
  }
  return found;
}

}  // namespace engram::kernel
