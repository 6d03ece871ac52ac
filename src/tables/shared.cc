// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/shared_table.h"

namespace engram::tables {

#define SHARED(name)                                                                  \
  const Table& linux_##name##_table();                                                \
  const Table& windows_##name##_table();                                              \
  const Table& name##_table() {                                                       \
    static const SharedTable table(linux_##name##_table(), windows_##name##_table()); \
    return table;                                                                     \
  }
SHARED(os_version)
SHARED(boot_time)
SHARED(tasks)
SHARED(memory_mappings)
#undef SHARED

}  // namespace engram::tables
