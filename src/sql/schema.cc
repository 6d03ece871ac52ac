// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/schema.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "sql/virtual_table.h"

namespace engram::sql {
namespace {

/// As it is if that is a plain lower-case name, else in quotes.
std::string identifier(std::string_view name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
  }) && std::isdigit(static_cast<unsigned char>(name[0])) == 0;
  return plain ? std::string(name) : quoted(name);
}

/// A comment must not end before its text does.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

std::string notes(const RelationColumn& column) {
  std::string text;
  if (column.key) text += "[key] ";
  if (column.hidden) text += "[not in SELECT *] ";
  return text + one_line(column.doc);
}

}  // namespace

const char* to_string(Relation::Kind kind) {
  switch (kind) {
    case Relation::Kind::table:
      return "table";
    case Relation::Kind::view:
      return "view";
    case Relation::Kind::user:
      return "user's";
  }
  return "?";
}

std::string schema_text(const Relation& relation) {
  if (!relation.sql.empty()) {
    std::string text = relation.sql;
    while (!text.empty() &&
           (std::isspace(static_cast<unsigned char>(text.back())) != 0 || text.back() == ';')) {
      text.pop_back();
    }
    return text + ";\n";
  }
  std::string text =
      "-- " + one_line(relation.doc) + "\nCREATE TABLE " + identifier(relation.name) + " (\n";
  for (std::size_t i = 0; i < relation.columns.size(); ++i) {
    const auto& column = relation.columns[i];
    text += "  " + identifier(column.name) + ' ' + column.type;
    if (i + 1 < relation.columns.size()) text += ',';
    text += "  -- " + notes(column) + '\n';
  }
  return text + ");\n";
}

}  // namespace engram::sql
