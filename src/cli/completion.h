// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the Tab key may complete.

#include <string>
#include <string_view>
#include <vector>

#include "sql/database.h"

namespace engram::cli {

struct Completion {
  std::string_view word;                ///< the end of the line that is to be completed
  std::vector<std::string> candidates;  ///< sorted; each of them begins with the word, case aside
  [[nodiscard]] std::string common_beginning() const;
};

/// For a line up to the cursor: dot commands and their arguments, names of relations, columns
/// (behind "x." only these) and functions, and keywords in the case in which the word begins.
[[nodiscard]] Completion complete(std::string_view line,
                                  const std::vector<sql::Relation>& relations);

}  // namespace engram::cli
