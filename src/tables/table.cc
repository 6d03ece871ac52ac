// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/table.h"

#include <array>

namespace engram::tables {

#define TABLE(name) const Table& name##_table();
#include "tables/tables.def"
#undef TABLE

std::span<const Table* const> all_tables() {
#define TABLE(name) &name##_table(),
  static const std::array tables{
#include "tables/tables.def"
  };
#undef TABLE
  return tables;
}

}  // namespace engram::tables
