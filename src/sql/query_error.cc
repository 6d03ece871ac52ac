// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "sql/callback.h"
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

bool contains_word(std::string_view sql, std::string_view name) {
  const auto same_letter = [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  };
  return std::search(sql.begin(), sql.end(), name.begin(), name.end(), same_letter) != sql.end();
}

/// Columns of the tables and views that the statement speaks of.
std::vector<std::string> column_names(const DatabaseState& state, std::string_view sql) {
  std::vector<std::string> names;
  for (const auto& binding : state.bindings) {
    if (!contains_word(sql, binding->table->name())) continue;
    for (const auto& column : binding->columns) names.emplace_back(column.name);
  }
  for (const auto& view : state.views) {
    if (!contains_word(sql, view.name)) continue;
    for (auto& [name, doc] : parse_view(view).columns) names.push_back(std::move(name));
  }
  return names;
}

std::string suggestion(const DatabaseState& state, std::string_view text, std::string_view sql) {
  const bool no_table = text.starts_with(kNoTable);
  const bool no_column = text.starts_with(kNoColumn);
  if (!no_table && !no_column) return {};
  const std::string_view name = last_part(text.substr((no_table ? kNoTable : kNoColumn).size()));
  const auto known = no_table ? relation_names(state) : column_names(state, sql);
  std::string hint;
  for (const auto& near : nearest_names(name, known)) {
    hint += (hint.empty() ? "; did you mean " : " or ") + near;
  }
  if (hint.empty() && no_column) return "; text goes in single quotes";
  return hint.empty() ? hint : hint + '?';
}

/// Where `name` is in the statement, if that is one place: SQLite does not say it of tables.
std::optional<std::size_t> only_place(std::string_view sql, std::string_view name) {
  const auto is_part_of_name = [&](std::size_t at) {
    return at < sql.size() && (std::isalnum(static_cast<unsigned char>(sql[at])) != 0 ||
                               sql[at] == '_' || sql[at] == '$');
  };
  std::optional<std::size_t> place;
  for (std::size_t at = sql.find(name); at != std::string_view::npos; at = sql.find(name, at + 1)) {
    if (is_part_of_name(at - 1) || is_part_of_name(at + name.size())) continue;
    if (place) return std::nullopt;
    place = at;
  }
  return place;
}

}  // namespace

QueryError step_error(DatabaseState& state) {
  QueryError error{{sqlite3_errmsg(state.connection.get())}};
  error.out_of_memory =
      sqlite3_errcode(state.connection.get()) == SQLITE_NOMEM || error.text == kOutOfMemory;
  return error;
}

QueryError prepare_error(DatabaseState& state, std::string_view sql, std::size_t at) {
  QueryError error = step_error(state);
  if (const int offset = sqlite3_error_offset(state.connection.get()); offset >= 0) {
    error.offset = at + static_cast<std::size_t>(offset);
  } else if (error.text.starts_with(kNoTable)) {
    const std::string_view name = last_part(std::string_view(error.text).substr(kNoTable.size()));
    if (const auto place = only_place(sql.substr(at), name)) error.offset = at + *place;
  }
  error.text += suggestion(state, error.text, sql.substr(at));
  if (sqlite3_errcode(state.connection.get()) == SQLITE_AUTH) {
    const std::string shadowed = std::exchange(state.shadowed, {});
    error.text += shadowed.empty()
                      ? ": a query touches no file of this machine (ATTACH, extensions and "
                        "PRAGMAs that change something are refused)"
                      : fmt::format(": {} is a table of engram's", shadowed);
  }
  return error;
}

}  // namespace engram::sql
