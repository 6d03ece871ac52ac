// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses as types: physical, virtual and file offsets never mix by accident.

#include <bit>
#include <cassert>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>

namespace engram {

/// A sum or difference modulo 2^64, and whether it wrapped.
template <class Space>
struct Wrapped;

/// An address in one space. Adding an offset with + wraps modulo 2^64 as the hardware does; code
/// that must not wrap uses the checked forms. Addresses of different spaces do not mix.
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

  /// The bits of the address that are set in `bits`, as a number.
  [[nodiscard]] constexpr std::uint64_t mask(std::uint64_t bits) const { return value & bits; }
  constexpr Address operator&(std::uint64_t bits) const { return Address(value & bits); }
  constexpr Address operator|(std::uint64_t bits) const { return Address(value | bits); }

  /// Nothing if the sum exceeds 2^64 - 1.
  [[nodiscard]] constexpr std::optional<Address> checked_add(std::uint64_t offset) const {
    const Wrapped<Space> sum = overflowing_add(offset);
    return sum.wrapped ? std::nullopt : std::optional(sum.address);
  }
  /// Nothing if `offset` exceeds the address.
  [[nodiscard]] constexpr std::optional<Address> checked_sub(std::uint64_t offset) const {
    const Wrapped<Space> difference = overflowing_sub(offset);
    return difference.wrapped ? std::nullopt : std::optional(difference.address);
  }
  [[nodiscard]] constexpr Wrapped<Space> overflowing_add(std::uint64_t offset) const {
    return {Address(value + offset), value + offset < value};
  }
  [[nodiscard]] constexpr Wrapped<Space> overflowing_sub(std::uint64_t offset) const {
    return {Address(value - offset), offset > value};
  }
  /// For sums that the caller knows to fit: asserted.
  [[nodiscard]] constexpr Address unchecked_add(std::uint64_t offset) const {
    assert(value + offset >= value);
    return Address(value + offset);
  }
  [[nodiscard]] constexpr Address unchecked_sub(std::uint64_t offset) const {
    assert(offset <= value);
    return Address(value - offset);
  }
  /// The distance from `base` up to this address; nothing if `base` lies above it.
  [[nodiscard]] constexpr std::optional<std::uint64_t> checked_offset_from(Address base) const {
    return value < base.value ? std::nullopt : std::optional(value - base.value);
  }

  /// The smallest multiple of `alignment` (a power of two: asserted) that is not below; nothing if
  /// that exceeds 2^64 - 1.
  [[nodiscard]] constexpr std::optional<Address> checked_align_up(std::uint64_t alignment) const {
    assert(std::has_single_bit(alignment));
    const auto sum = checked_add(alignment - 1);
    return sum ? std::optional(*sum & ~(alignment - 1)) : std::nullopt;
  }
  /// The largest multiple of `alignment` (a power of two: asserted) that is not above.
  [[nodiscard]] constexpr Address aligned_down(std::uint64_t alignment) const {
    assert(std::has_single_bit(alignment));
    return *this & ~(alignment - 1);
  }
};

template <class Space>
struct Wrapped {
  Address<Space> address;
  bool wrapped = false;
};

using PhysAddr = Address<struct PhysicalSpace>;    ///< guest physical address
using VirtAddr = Address<struct VirtualSpace>;     ///< guest virtual address
using FileOffset = Address<struct FileSpace>;      ///< byte offset in a host file
using RegionOffset = Address<struct RegionSpace>;  ///< byte offset in a region of guest memory

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr std::uint64_t kPageMask = kPageSize - 1;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

enum class Architecture : std::uint8_t { unknown, x86_64, arm64, x86 };

constexpr const char* to_string(Architecture architecture) {
  switch (architecture) {
    case Architecture::x86_64:
      return "x86_64";
    case Architecture::arm64:
      return "arm64";
    case Architecture::x86:  // 32-bit
      return "x86";
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
