// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// All slice arithmetic and all unaligned loads of the program.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace engram {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// a + b, or nothing if that does not fit.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// a * b, or nothing if that does not fit.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_multiply(T a, T b) {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// `length` bytes from `offset`, or nothing if they do not all lie in `bytes`.
constexpr std::optional<Bytes> slice(Bytes bytes, std::uint64_t offset, std::uint64_t length) {
  if (offset > bytes.size() || length > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
}

/// A value at an unaligned place that is known to hold sizeof(T) bytes.
template <class T>
requires std::is_trivially_copyable_v<T> T load_unaligned(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// A value at `offset`, or nothing if it does not lie in `bytes` whole.
template <class T>
requires std::is_trivially_copyable_v<T> std::optional<T> load(Bytes bytes, std::uint64_t offset) {
  const auto at = slice(bytes, offset, sizeof(T));
  if (!at) return std::nullopt;
  return load_unaligned<T>(at->data());
}

/// The bytes as text, up to the first NUL or the end.
inline std::string_view text_until_nul(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t power_of_two) {
  return value & ~(power_of_two - 1);
}

/// Wraps to 0 for values in the last `power_of_two` - 1 bytes of the address space.
constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t power_of_two) {
  return align_down(value + power_of_two - 1, power_of_two);
}

}  // namespace engram
