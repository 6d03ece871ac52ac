// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/table.h"

namespace engram::tables {

std::span<const Table* const> all_tables() { return {}; }

}  // namespace engram::tables
