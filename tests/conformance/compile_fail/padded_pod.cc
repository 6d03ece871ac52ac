// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

struct Dense {
  std::uint32_t a;
  std::uint32_t b;
};
struct Padded {
  std::uint8_t a;
  std::uint32_t b;
};
template <>
inline constexpr bool engram::mapping::enable_pod<Dense> = true;
template <>
inline constexpr bool engram::mapping::enable_pod<Padded> = true;

void use(const engram::mapping::ConstVolatileSlice& slice) {
  static_cast<void>(slice.read_object<Dense>(0));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(slice.read_object<Padded>(0));  // error: \bPod\b
#endif
}
