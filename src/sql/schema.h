// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a database holds: its tables and views as people read them.

#include <cstdint>
#include <string>
#include <vector>

namespace engram::sql {

struct RelationColumn {
  std::string name;
  std::string type;  ///< declared type; empty for an expression of a view
  std::string doc;   ///< empty for what a user created
  bool hidden = false;
  bool key = false;
};

struct Relation {
  enum class Kind : std::uint8_t {
    table,  ///< one of engram's
    view,   ///< one of engram's
    user,   ///< a table or view that the user created
  };
  Kind kind = Kind::table;
  std::string name;
  std::string doc;
  std::vector<RelationColumn> columns;
  std::string sql;  ///< the statement that made a view or what a user created; empty for tables
};

[[nodiscard]] const char* to_string(Relation::Kind kind);

/// Valid SQL that shows the relation, with its documentation as comments. Ends with ";\n".
[[nodiscard]] std::string schema_text(const Relation& relation);

}  // namespace engram::sql
