// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Plain data: types of which any bit pattern is a value and that have no padding, so that they can
// be read from memory that somebody else writes, and written to it without leaking anything.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "base/bytes.h"

namespace engram::mapping {

/// A structure becomes plain data by
///   template <> inline constexpr bool engram::mapping::enable_pod<Header> = true;
/// which promises that any bit pattern is a value of it (no bool, no enumeration, no pointer in
/// it). Padding is refused by the compiler.
template <class T>
inline constexpr bool enable_pod = false;

namespace detail {
template <class T>
struct is_pod
    : std::bool_constant<std::is_trivially_copyable_v<T> &&
                         ((std::is_integral_v<T> && !std::is_same_v<T, bool>) ||
                          std::is_same_v<T, std::byte> ||
                          (enable_pod<T> && ((std::is_floating_point_v<T> && sizeof(T) <= 8) ||
                                             std::has_unique_object_representations_v<T>)))> {};
#ifdef __SIZEOF_INT128__
// Not std::is_integral without the GNU dialect.
__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;
template <>
struct is_pod<Int128> : std::true_type {};
template <>
struct is_pod<Uint128> : std::true_type {};
#endif
template <class T, std::size_t n>
struct is_pod<T[n]> : is_pod<T> {};
template <class T, std::size_t n>
struct is_pod<std::array<T, n>> : is_pod<T> {};
}  // namespace detail

template <class T>
concept Pod = detail::is_pod<std::remove_cv_t<T>>::value;

/// Integers that the processor loads and stores at once: 1, 2, 4 or 8 bytes.
template <class T>
concept AtomicInteger =
    std::is_integral_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8 && !std::is_const_v<T>;

/// The value whose bytes are all zero.
template <Pod T>
[[nodiscard]] constexpr T zeroed() {
  return T{};
}

/// The bytes of a private object.
template <Pod T>
[[nodiscard]] Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <Pod T>
[[nodiscard]] MutableBytes mutable_bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

/// Private bytes as an object in place: null if the size differs or the address is not aligned. For
/// private bytes only; what others write is copied out through a slice.
template <Pod T>
[[nodiscard]] const T* object_in(Bytes bytes) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0;
  return bytes.size() == sizeof(T) && aligned ? reinterpret_cast<const T*>(bytes.data()) : nullptr;
}
template <Pod T>
[[nodiscard]] T* object_in(MutableBytes bytes) {
  return const_cast<T*>(object_in<T>(Bytes(bytes)));
}

}  // namespace engram::mapping
