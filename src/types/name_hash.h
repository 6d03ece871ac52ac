// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The hash of a name under a seed that nobody who writes names can know.

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace engram::types {

/// Eight bytes a step, mixed by a multiplication of which both halves are kept. The names come from
/// the image: without a seed that it cannot know, it could make all of them collide.
inline std::uint64_t name_hash(std::string_view name, std::uint64_t seed) {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio, odd
  const auto mix = [seed](std::uint64_t hash, std::uint64_t word) {
    const Wide product = static_cast<Wide>(hash ^ word) * (seed | 1U);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  };
  const auto bytes = std::as_bytes(std::span(name));
  std::uint64_t hash = seed ^ (name.size() * kMultiplier);
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    hash = mix(hash, load_unaligned<std::uint64_t>(bytes.data() + at)) + kMultiplier;
  }
  std::uint64_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  return mix(hash, rest);
}

inline std::uint64_t random_seed() {
  std::random_device source;
  return (std::uint64_t{source()} << 32U) | source();
}

}  // namespace engram::types
