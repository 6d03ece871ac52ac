// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/concepts.h"
#include "guest/memory.h"

using namespace engram::guest;

template <ReadableMemory M>
void inspect(const M&) {}
template <WritableMemory M>
void patch(const M&) {}

void use(const Memory& dump) {
  inspect(dump);
#if defined(MUST_NOT_COMPILE)
  patch(dump);  // error: WritableMemory
#endif
}
