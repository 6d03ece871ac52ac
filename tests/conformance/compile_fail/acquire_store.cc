// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

using namespace engram::mapping;

void use(const VolatileSlice<>& slice) {
  using enum std::memory_order;
  static_cast<void>(slice.store<int, release>(0, 1));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(slice.store<int, acquire>(0, 1));  // error: valid_for_store
#endif
}
