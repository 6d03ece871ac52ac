// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Copies between private bytes and the host memory of a region, as its FaultPolicy says. Values of
// 1, 2, 4 and 8 bytes are moved by one access, unless the policy is to make system calls.

#include <cstddef>

#include "base/bytes.h"
#include "guest/region.h"

namespace engram::guest::detail {

/// memcpy where the compiler does not see it: it can neither repeat nor invent an access.
void opaque_copy(std::byte* to, const std::byte* from, std::size_t size) noexcept;

/// Bytes copied before the first one that is not there; all if none is missing.
[[nodiscard]] std::size_t copy_in_by_policy(FaultPolicy faults, MutableBytes to,
                                            const std::byte* from) noexcept;
[[nodiscard]] std::size_t copy_out_by_policy(FaultPolicy faults, std::byte* to,
                                             Bytes from) noexcept;

/// Whether the processor moves so many bytes at once.
constexpr bool is_word(std::size_t size) {
  return size == 8 || size == 4 || size == 2 || size == 1;
}

}  // namespace engram::guest::detail
