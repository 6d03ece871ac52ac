// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Whether bytes that should be the registers of an x86-64 CPU can be them.

#include <cstdint>

namespace engram::image {

/// RFLAGS has bits that are always 1 and bits that are always 0, and CR0 has 32 bits (Intel SDM,
/// volume 1, 3.4.3; volume 3, 2.5).
constexpr bool can_be_x86_state(std::uint64_t rflags, std::uint64_t cr0) {
  constexpr std::uint64_t kFixed = ~std::uint64_t{0x3F7FD5};
  return (rflags & kFixed) == 2 && cr0 >> 32U == 0;
}

}  // namespace engram::image
