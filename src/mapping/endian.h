// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Integers of a fixed byte order, for structures that lie in memory or in files. Each has the size
// and the alignment of the integer that it stands for, and is plain data (pod.h).

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "mapping/pod.h"

namespace engram::mapping {

template <class T>
concept EndianValue = std::unsigned_integral<T> &&
    (sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

template <EndianValue T, std::endian order>
class EndianInteger {
 public:
  using Native = T;

  constexpr EndianInteger() = default;
  constexpr explicit EndianInteger(T native) : stored_(in_order(native)) {}

  [[nodiscard]] constexpr T to_native() const { return in_order(stored_); }
  constexpr explicit operator T() const { return to_native(); }

  constexpr bool operator==(const EndianInteger&) const = default;
  constexpr bool operator==(T native) const { return to_native() == native; }

 private:
  [[nodiscard]] static constexpr T in_order(T value) {
    if constexpr (order == std::endian::native) {
      return value;
    } else if constexpr (sizeof(T) == 2) {
      return static_cast<T>(__builtin_bswap16(value));
    } else if constexpr (sizeof(T) == 4) {
      return static_cast<T>(__builtin_bswap32(value));
    } else {
      return static_cast<T>(__builtin_bswap64(value));
    }
  }

  T stored_ = 0;
};

template <EndianValue T, std::endian order>
inline constexpr bool enable_pod<EndianInteger<T, order>> = true;

using Le16 = EndianInteger<std::uint16_t, std::endian::little>;
using Le32 = EndianInteger<std::uint32_t, std::endian::little>;
using Le64 = EndianInteger<std::uint64_t, std::endian::little>;
using LeSize = EndianInteger<std::size_t, std::endian::little>;
using Be16 = EndianInteger<std::uint16_t, std::endian::big>;
using Be32 = EndianInteger<std::uint32_t, std::endian::big>;
using Be64 = EndianInteger<std::uint64_t, std::endian::big>;
using BeSize = EndianInteger<std::size_t, std::endian::big>;

}  // namespace engram::mapping
