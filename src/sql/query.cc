// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include "sql/database.h"
#include "sql/database_state.h"
#include "sql/value_conversion.h"

namespace engram::sql {

void DatabaseState::begin_statement() {
  interrupted.store(false);
  if (session == nullptr || !session->image().is_live()) return;
  for (auto* other = sqlite3_next_stmt(connection.get(), nullptr); other != nullptr;
       other = sqlite3_next_stmt(connection.get(), other)) {
    if (sqlite3_stmt_busy(other) != 0) return;
  }
  for (const auto& binding : bindings) binding->walks.clear();
  session->refresh();
}

void Query::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
  // Another statement that is still running loses nothing but what it could have reused.
  for (const auto& binding : database->bindings) binding->walks.clear();
}

Query::Query(Statement statement) : statement_(std::move(statement)) {
  const int count = sqlite3_column_count(statement_.get());
  for (int column = 0; column < count; ++column) {
    const char* name = sqlite3_column_name(statement_.get(), column);
    const char* type = sqlite3_column_decltype(statement_.get(), column);
    columns_.push_back({name == nullptr ? std::string() : std::string(name),
                        type == nullptr ? std::nullopt : type_from_name(type)});
  }
}

Result<bool, QueryError> Query::step() {
  DatabaseState& database = *statement_.get_deleter().database;
  if (!started_) database.begin_statement();
  started_ = true;
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return tl::unexpected(step_error(database));
  }
}

tables::Value Query::value(std::size_t column) const {
  return to_value(sqlite3_column_value(statement_.get(), static_cast<int>(column)));
}

}  // namespace engram::sql
