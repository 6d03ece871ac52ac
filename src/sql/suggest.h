// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Names that the user may have meant.

#include <string>
#include <string_view>
#include <vector>

namespace engram::sql {

/// At most three of `known` that are near to `unknown` (few letters differ, or one contains the
/// other, case aside), nearest first.
[[nodiscard]] std::vector<std::string> nearest_names(std::string_view unknown,
                                                     const std::vector<std::string>& known);

}  // namespace engram::sql
