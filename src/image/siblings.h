// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files whose names say that they may belong together: dump.0, dump.1 ...; x.vmem, x.vmss.

#include <initializer_list>
#include <string>
#include <vector>

namespace engram::image {

/// The other files of the same folder whose names differ from that of `path` in one number only,
/// sorted; at most 64. None if the folder cannot be read.
[[nodiscard]] std::vector<std::string> siblings_of(const std::string& path);

/// The file that is called as `path` but for its extension, which is the first of `extensions`
/// (with their dot) that one has; empty if there is none.
[[nodiscard]] std::string sibling_with(const std::string& path,
                                       std::initializer_list<const char*> extensions);

}  // namespace engram::image
