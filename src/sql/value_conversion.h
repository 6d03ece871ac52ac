// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Cells to SQLite's values and back, and what SQLite's `column = value` means for a typed column.

#include <string_view>

#include "tables/table.h"

struct sqlite3_context;
struct sqlite3_stmt;
struct sqlite3_value;

namespace engram::sql {

[[nodiscard]] tables::Value to_value(sqlite3_value* value);

void set_result(sqlite3_context* context, const tables::Value& value);

/// Gives a parameter, from 1, its value, which must live until the statement is reset. False: there
/// is no memory for it.
[[nodiscard]] bool bind(sqlite3_stmt* statement, int parameter, const tables::Value& value);

/// A column fixed by `column = value`.
struct Fixed {
  enum class Match : std::uint8_t {
    equal,  ///< the rows whose cell is `value`, which has the column's type
    never,  ///< no cell of that type is equal
    any,    ///< cannot be told from the value alone: SQLite must compare every row
  };
  Match match = Match::any;
  tables::Value value;
};

/// Follows SQLite's comparison rules (https://www.sqlite.org/datatype3.html, section 4.2) for cells
/// that have the type that their column declares.
[[nodiscard]] Fixed fix(tables::Type type, sqlite3_value* value);

/// What is wrong with comparing an address with `value`: text that shows one (as JSON does), or a
/// number that SQLite has rounded because it exceeds 2^63 - 1, equals no address. Nothing if it is
/// good, or the column has no addresses.
[[nodiscard]] std::optional<std::string> refusal(const tables::ColumnInfo& column,
                                                 sqlite3_value* value);

/// The declared type in SQL. POINTER contains "INT" and so has integer affinity
/// (datatype3.html, 3.1).
[[nodiscard]] std::string_view type_name(tables::Type type);

/// The type with that name; nothing for any other text.
[[nodiscard]] std::optional<tables::Type> type_from_name(std::string_view name);

}  // namespace engram::sql
