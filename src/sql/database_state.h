// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What stands behind a Database: the connection and all that it borrows.

#include <atomic>
#include <memory>
#include <vector>

#include "sql/database.h"
#include "sql/functions.h"
#include "sql/table_scan.h"

struct sqlite3;

namespace engram::sql {

class DatabaseState {
 public:
  struct Closer {
    void operator()(sqlite3* opened) const;
  };

  /// Before a statement begins: lets it see a running guest as it is now. Statements that are
  /// still running go on with what was read for the first of them.
  void begin_statement();

  std::atomic<bool> interrupted = false;
  kernel::Session* session = nullptr;              ///< null in a database that has only a schema
  std::vector<std::unique_ptr<Binding>> bindings;  ///< addresses are kept by SQLite
  std::span<const ViewSource> views;
  std::string
      shadowed;  ///< the table whose name the last statement wanted for a relation of its own
  FunctionContext functions;
  std::unique_ptr<sqlite3, Closer>
      connection;  ///< the last member: closed before what it points to
};

/// The error of the last step on the connection.
[[nodiscard]] QueryError step_error(DatabaseState& state);

/// The error of preparing the statement that begins at `at` in `sql`.
[[nodiscard]] QueryError prepare_error(DatabaseState& state, std::string_view sql, std::size_t at);

/// Refuses whatever would touch the host; see database.h. And what would have the name of a table:
/// a query would be answered from it as if it were the image.
void install_authorizer(DatabaseState& state);

}  // namespace engram::sql
