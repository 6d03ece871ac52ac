// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/memory.h"

using namespace engram;

void use(const guest::Memory& dump, MutableBytes bytes) {
  static_cast<void>(dump.read(PhysAddr(0), bytes));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(dump.write(PhysAddr(0), bytes));  // error: WritableRegion
#endif
}
