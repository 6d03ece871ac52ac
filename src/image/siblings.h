// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files whose names say that they may belong together: dump.0, dump.1 ...

#include <string>
#include <vector>

namespace engram::image {

/// The other files of the same folder whose names differ from that of `path` in one number only,
/// sorted; at most 64. None if the folder cannot be read.
[[nodiscard]] std::vector<std::string> siblings_of(const std::string& path);

}  // namespace engram::image
