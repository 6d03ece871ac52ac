// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/mapping.h"

using namespace engram::mapping;

void use(Mapping<ReadWrite>& mapping) {
  const Mapping<ReadWrite> moved = std::move(mapping);
#if defined(MUST_NOT_COMPILE)
  const Mapping<ReadWrite> copy = moved;  // error: deleted
#endif
}
