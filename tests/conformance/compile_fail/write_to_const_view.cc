// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

using namespace engram::mapping;

void use(const ConstVolatileSlice& read_only, const VolatileSlice<>& writable) {
  static_cast<void>(read_only.read(0, {}));
  static_cast<void>(writable.write(0, {}));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(read_only.write(0, {}));  // error: no member named 'write'
#endif
}
