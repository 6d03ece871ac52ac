// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sql/database.h"
#include "sql/database_state.h"
#include "sql/value_conversion.h"
#include "sql/virtual_table.h"

namespace engram::sql {
namespace {

Relation describe(const Binding& binding) {
  Relation relation{Relation::Kind::table,
                    std::string(binding.table->name()),
                    std::string(binding.table->doc()),
                    {},
                    {}};
  for (const auto& column : binding.columns) {
    relation.columns.push_back({std::string(column.name), std::string(type_name(column.type)),
                                std::string(column.doc), column.hidden, column.key});
  }
  return relation;
}

std::string text_at(const Query& query, std::size_t column) {
  const auto value = query.value(column);
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? std::string() : *text;
}

std::string literal(std::string_view text) {
  std::string quoted_text = "'";
  for (const char c : text) quoted_text.append(c == '\'' ? 2 : 1, c);
  return quoted_text + '\'';
}

/// Rows of a statement of our own as texts. One that fails (a view of the user's that is broken by
/// now) ends early: this is documentation, not an answer.
std::vector<std::vector<std::string>> texts(Database& database, const std::string& sql) {
  std::vector<std::vector<std::string>> rows;
  auto query = database.prepare(sql);
  if (!query) return rows;
  while (query->step().value_or(false)) {
    std::vector<std::string> row;
    for (std::size_t i = 0; i < query->columns().size(); ++i) row.push_back(text_at(*query, i));
    rows.push_back(std::move(row));
  }
  return rows;
}

void add_documentation(Relation& relation, const ViewSource& source) {
  const ViewDoc view = parse_view(source);
  relation.kind = Relation::Kind::view;
  relation.doc = view.doc;
  relation.sql = std::string(view.statement);
  for (const auto& [name, doc] : view.columns) {
    for (auto& column : relation.columns) {
      if (column.name == name) column.doc = doc;
    }
  }
}

}  // namespace

std::vector<Relation> Database::relations() {
  std::vector<Relation> all;
  for (const auto& binding : state_->bindings) all.push_back(describe(*binding));
  const std::string created =
      "SELECT name, sql FROM (SELECT name, sql, type, rowid AS at, 0 AS temporary FROM "
      "main.sqlite_schema"
      " UNION ALL SELECT name, sql, type, rowid, 1 FROM temp.sqlite_schema)"
      " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"
      " ORDER BY temporary, at";
  for (const auto& row : texts(*this, created)) {
    Relation relation{Relation::Kind::user, row[0], {}, {}, row[1]};
    const std::string columns =
        fmt::format("SELECT name, type FROM pragma_table_info({})", literal(relation.name));
    for (auto& column : texts(*this, columns)) {
      relation.columns.push_back({std::move(column[0]), std::move(column[1]), {}, false, false});
    }
    for (const auto& view : state_->views) {
      if (view.name == relation.name) add_documentation(relation, view);
    }
    all.push_back(std::move(relation));
  }
  return all;
}

}  // namespace engram::sql
