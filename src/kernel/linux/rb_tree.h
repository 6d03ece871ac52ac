// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Red-black trees (include/linux/rbtree.h) of a kernel that does not run.

#include <optional>
#include <string_view>
#include <vector>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

class RbTreeWalker {
 public:
  RbTreeWalker(const types::TypeDb& types, Reader reader);

  /// The nodes of the tree whose uppermost one is `root` (nothing: an empty tree), in order. A node
  /// that cannot be read is left out. At one that was reached before, below kDepthLimit others, or
  /// after `limit` nodes the walk ends. Each is one diagnostics row.
  [[nodiscard]] std::vector<VirtAddr> walk(std::optional<VirtAddr> root, std::string_view what,
                                           std::size_t limit) const;

  static constexpr std::size_t kDepthLimit = 128;  ///< twice the logarithm at most

 private:
  Reader reader_;
  Field<VirtAddr> left_, right_;
};

}  // namespace engram::kernel
