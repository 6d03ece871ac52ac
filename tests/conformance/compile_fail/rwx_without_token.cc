// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/mapping.h"

using namespace engram::mapping;

void use(Mapping<ReadWrite>&& mapping) {
  static_cast<void>(std::move(mapping).protect<ReadExec>());
#if defined(MUST_NOT_COMPILE)
  static_cast<void>(std::move(mapping).protect<ReadWriteExec>());  // error: AllowedAccess
#endif
}
