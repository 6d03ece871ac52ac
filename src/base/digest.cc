// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#define XXH_INLINE_ALL  // all of it is in the header: nothing to be loaded when the program starts
#include <xxhash.h>

namespace engram {

Digest digest(Bytes bytes, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {hash.low64, hash.high64};
}

}  // namespace engram
