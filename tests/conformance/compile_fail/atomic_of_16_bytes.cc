// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

using namespace engram::mapping;

// Such a load may be a compare-and-exchange, which faults on memory that may only be read.
void use(const ConstVolatileSlice& slice) {
  static_cast<void>(slice.load<std::uint64_t>(0));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(slice.load<detail::Uint128>(0));  // error: AtomicInteger
#endif
}
