// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include <string_view>

#include "sql/database_state.h"
#include "sql/suggest.h"

namespace engram::sql {
namespace {

constexpr std::string_view kNoTable = "no such table: ";
constexpr std::string_view kNoColumn = "no such column: ";

/// The last part of "schema.table" or "table.column".
std::string_view last_part(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::vector<std::string> relation_names(const DatabaseState& state) {
  std::vector<std::string> names;
  for (const auto& binding : state.bindings) names.emplace_back(binding->table->name());
  for (const auto& view : state.views) names.emplace_back(view.name);
  return names;
}

std::vector<std::string> column_names(const DatabaseState& state) {
  std::vector<std::string> names;
  for (const auto& binding : state.bindings) {
    for (const auto& column : binding->columns) names.emplace_back(column.name);
  }
  return names;
}

std::string suggestion(const DatabaseState& state, std::string_view text) {
  const bool no_table = text.starts_with(kNoTable);
  const bool no_column = text.starts_with(kNoColumn);
  if (!no_table && !no_column) return {};
  const std::string_view name = last_part(text.substr((no_table ? kNoTable : kNoColumn).size()));
  const auto known = no_table ? relation_names(state) : column_names(state);
  std::string hint;
  for (const auto& near : nearest_names(name, known)) {
    hint += (hint.empty() ? "; did you mean " : " or ") + near;
  }
  if (hint.empty() && no_column) return "; text goes in single quotes";
  return hint.empty() ? hint : hint + '?';
}

}  // namespace

QueryError last_error(DatabaseState& state, std::size_t base) {
  sqlite3* connection = state.connection.get();
  QueryError error;
  error.text = sqlite3_errmsg(connection);
  if (const int offset = sqlite3_error_offset(connection); offset >= 0) {
    error.offset = base + static_cast<std::size_t>(offset);
  }
  error.text += suggestion(state, error.text);
  return error;
}

}  // namespace engram::sql
