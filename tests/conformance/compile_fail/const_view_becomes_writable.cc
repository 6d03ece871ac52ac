// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/volatile_slice.h"

using namespace engram::mapping;

void write(const VolatileSlice<>&) {}
void read(const ConstVolatileSlice&) {}

void use(const ConstVolatileSlice& read_only, const VolatileSlice<>& writable) {
  read(read_only);
  read(writable);
  write(writable);
#if defined(MUST_NOT_COMPILE)
  write(read_only);  // error: (invalid initialization of reference|no matching function)
#endif
}
