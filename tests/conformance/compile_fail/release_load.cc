// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

using namespace engram::mapping;

void use(const ConstVolatileSlice& slice) {
  using enum std::memory_order;
  static_cast<void>(slice.load<int, acquire>(0));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(slice.load<int, release>(0));  // error: valid_for_load
#endif
}
