// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The glue that shows a tables::Table to SQLite as an eponymous virtual table
// (https://www.sqlite.org/vtab.html).

#include <string>

#include "base/result.h"
#include "sql/table_scan.h"

struct sqlite3;

namespace engram::sql {

/// Makes the table known to `database` under its own name; `binding` must outlive the connection.
/// Errors: SQLite's own (no memory).
Result<void> register_table(sqlite3* database, Binding& binding);

/// An SQL identifier in double quotes.
[[nodiscard]] std::string quoted(std::string_view identifier);

}  // namespace engram::sql
