// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// 128 bits by which bytes are known again: XXH3, at the speed of memory.

#include <cstdint>

#include "base/bytes.h"

namespace engram {

struct Digest {
  std::uint64_t low = 0, high = 0;
  friend bool operator==(const Digest&, const Digest&) = default;
};

/// Of `bytes` under a seed. It is no cryptographic hash: whoever knows the seed can make other
/// bytes of the same digest; whoever does not cannot. Equal on all machines.
[[nodiscard]] Digest digest(Bytes bytes, std::uint64_t seed);

}  // namespace engram
