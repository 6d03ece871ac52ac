// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

using namespace engram::mapping;

void use(const ConstVolatileSlice& read_only, const VolatileSlice<>& writable) {
  static_cast<void>(read_only.load<std::uint32_t>(0));
  static_cast<void>(writable.store<std::uint32_t>(0, 1));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(read_only.store(0, std::uint32_t{1}));  // error: no member named 'store'
#endif
}
