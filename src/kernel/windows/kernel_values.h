// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Numbers that mean the same in every Windows kernel.

#include <cstdint>

#include "base/units.h"
#include "paging/address_space.h"

namespace engram::kernel::windows {

using paging::pointer_size;

inline constexpr std::uint64_t kSystemId = 4;  ///< of the process System
// DISPATCHER_HEADER.Type, with which KPROCESS and KTHREAD begin.
inline constexpr std::uint8_t kProcessType = 3, kThreadType = 6;

/// The lowest bits of an EX_FAST_REF count references.
[[nodiscard]] constexpr std::uint64_t reference_bits(Architecture architecture) {
  return pointer_size(architecture) == sizeof(std::uint64_t) ? 0xF : 0x7;
}

/// Whether the address, of a machine whose pointers have so many bytes, may be the kernel's.
[[nodiscard]] constexpr bool is_kernel_address(std::uint64_t address, std::uint64_t pointer_size) {
  constexpr std::uint64_t kFirst = 0xFFFF'8000'0000'0000, kFirst32 = 0x8000'0000;
  if (pointer_size == sizeof(std::uint64_t)) return address >= kFirst;
  return address >= kFirst32 && address >> 32U == 0;
}

}  // namespace engram::kernel::windows
