// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files that were compressed whole.

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace engram::types {

/// A copy, unpacked if it is an xz or gzip file. Errors: it is damaged; there are more than `limit`
/// bytes.
[[nodiscard]] Result<std::vector<std::byte>> unpack(Bytes file, std::size_t limit);

}  // namespace engram::types
