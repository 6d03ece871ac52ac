// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

struct Declared {
  std::uint32_t a;
};
struct Undeclared {
  std::uint32_t a;
};
template <>
inline constexpr bool engram::mapping::enable_pod<Declared> = true;

void use(const engram::mapping::VolatileSlice<>& slice) {
  static_cast<void>(slice.write_object(0, Declared{}));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(slice.write_object(0, Undeclared{}));  // error: \bPod\b
#endif
}
