// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/mapping.h"

using namespace engram::mapping;

void use(const Mapping<ReadOnly>& read_only, const Mapping<ReadWrite>& writable) {
  static_cast<void>(read_only.slice().read(0, {}));
  static_cast<void>(writable.slice().write(0, {}));
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(read_only.slice().write(0, {}));  // error: no member named 'write'
#endif
}
