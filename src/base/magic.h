// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What files are recognised by.

#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace engram {

/// Whether these are the first bytes. `magic` may have zeros in it.
[[nodiscard]] inline bool begins_with(Bytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() &&
         (magic.empty() || std::memcmp(bytes.data(), magic.data(), magic.size()) == 0);
}

}  // namespace engram
