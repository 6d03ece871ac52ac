// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses as types: physical, virtual and file offsets never mix by accident.

#include <compare>
#include <cstdint>
#include <functional>

namespace engram {

/// An address in one space. Adding an offset wraps modulo 2^64 as the hardware does;
/// code that must not wrap uses checked_add (bytes.h) on the values.
template <class Space>
struct Address {
  std::uint64_t value = 0;

  constexpr Address() = default;
  constexpr explicit Address(std::uint64_t v) : value(v) {}

  constexpr auto operator<=>(const Address&) const = default;
  constexpr Address operator+(std::uint64_t offset) const { return Address(value + offset); }
  constexpr Address operator-(std::uint64_t offset) const { return Address(value - offset); }
  /// The distance from `other` up to this address, in bytes.
  constexpr std::uint64_t operator-(Address other) const { return value - other.value; }
  constexpr explicit operator bool() const { return value != 0; }
};

using PhysAddr = Address<struct PhysicalSpace>;  ///< guest physical address
using VirtAddr = Address<struct VirtualSpace>;   ///< guest virtual address
using FileOffset = Address<struct FileSpace>;    ///< byte offset in a host file

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr std::uint64_t kPageMask = kPageSize - 1;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

enum class Architecture : std::uint8_t { unknown, x86_64, arm64 };

constexpr const char* to_string(Architecture architecture) {
  switch (architecture) {
    case Architecture::x86_64:
      return "x86_64";
    case Architecture::arm64:
      return "arm64";
    case Architecture::unknown:
      break;
  }
  return "unknown";
}

}  // namespace engram

template <class Space>
struct std::hash<engram::Address<Space>> {
  std::size_t operator()(const engram::Address<Space>& address) const noexcept {
    return std::hash<std::uint64_t>()(address.value);
  }
};
