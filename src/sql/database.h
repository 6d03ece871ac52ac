// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Database: tables and views in, result sets of SQL statements out. The only layer that knows
// SQLite.
//
// In:     a kernel::Session, the list of tables, the views, what the SQL functions look up.
// Out:    Query: one prepared statement, stepped row by row; the schema as data.
// Owner:  a Database borrows the session and the tables; a Query must not outlive its Database.
// Errors: QueryError: the text of a table's or function's own error unchanged, or SQLite's, and
// where in
//         the SQL text it lies, if that is known. A query that could not do its work never just
//         ends.
//
// A Database is used by one thread at a time; only interrupt() may be called from others.
// Nothing that a statement does touches a file of the host: ATTACH, extensions and the PRAGMAs that
// change something are refused. Intermediate results are kept in memory, unless
// DatabaseOptions::sort_memory lets large ones go to a temporary file without a name.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/session.h"
#include "sql/guest_lookups.h"
#include "sql/row_budget.h"
#include "sql/schema.h"
#include "sql/views.h"
#include "tables/table.h"

struct sqlite3_stmt;

namespace engram::sql {

struct QueryError : Error {
  std::optional<std::size_t> offset{};  ///< bytes into the SQL text
  bool out_of_memory = false;           ///< of the process, or of limit_sqlite_memory()
};

struct ResultColumn {
  std::string name;
  /// The declared type, if the column comes straight from a table (perhaps through a view or a
  /// subquery); an expression has none.
  std::optional<tables::Type> type;
};

class DatabaseState;

/// A prepared statement. Move-only.
class Query {
 public:
  /// Empty if the statement has no result (CREATE TEMP VIEW, say).
  [[nodiscard]] std::span<const ResultColumn> columns() const { return columns_; }

  /// Moves to the next row; false after the last one. Not to be called again after that or an
  /// error. Errors: those of the tables and functions, unchanged; "interrupted".
  Result<bool, QueryError> step();

  /// A cell of the current row. An unsigned 64-bit value comes as the signed one with the same
  /// bits.
  [[nodiscard]] tables::Value value(std::size_t column) const;

 private:
  friend class Database;
  struct Finalizer {
    DatabaseState* database = nullptr;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;
  explicit Query(Statement statement);

  Statement statement_;
  std::vector<ResultColumn> columns_;
  bool started_ = false;
};

struct DatabaseOptions {
  GuestLookups lookups;
  std::span<const ViewSource> views = embedded_views();
  /// Of the rows that are kept for joins; several databases may share one. Beyond it they are kept
  /// in a temporary file if `sort_memory` allows for files; else the table is walked again for each
  /// row of the outer one. Null: a default one.
  std::shared_ptr<RowBudget> kept_rows{};
  /// Bytes that a sort may take before it goes on in a temporary file, which has no name and is
  /// gone with the process; large DISTINCTs, GROUP BYs, kept subqueries and kept rows then go
  /// there, too. The folder is that of the environment's TMPDIR, or /var/tmp, or /tmp. Nothing, or
  /// no such folder that can be written to: all of that stays in memory.
  std::optional<std::uint64_t> sort_memory{};
};

class Database {
 public:
  /// A view that names a table that is not among `tables` is left out.
  /// Errors: SQLite cannot be started; two tables with one name; a view that is wrong in another
  /// way.
  static Result<std::unique_ptr<Database>> create(kernel::Session& session,
                                                  std::span<const tables::Table* const> tables,
                                                  DatabaseOptions options = {});
  /// The schema alone, for documentation: a query that reads a table fails.
  static Result<std::unique_ptr<Database>> create_without_image(
      std::span<const tables::Table* const> tables, DatabaseOptions options = {});

  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  /// Prepares the first statement of `sql`. Errors: there is none; those of prepare_next().
  Result<Query, QueryError> prepare(std::string_view sql);

  /// Prepares the statement that begins at or behind `at`, and moves `at` behind it; nothing if
  /// only blanks and comments are left. Statements may rely on what the ones before them created,
  /// so each has to be run before the next one is prepared. Errors: not valid SQL, no such table or
  /// column (with names that may have been meant), refused.
  Result<std::optional<Query>, QueryError> prepare_next(std::string_view sql, std::size_t& at);

  /// Makes the running statement fail with "interrupted" soon; without one, does nothing.
  /// May be called from any thread and from a signal handler.
  void interrupt() noexcept;

  /// The session that it reads; null in a database that has only a schema.
  [[nodiscard]] kernel::Session* session();

  /// Tables in their given order, views in theirs, then what the user created in this database.
  [[nodiscard]] std::vector<Relation> relations();

 private:
  static Result<std::unique_ptr<Database>> create(kernel::Session* session,
                                                  std::span<const tables::Table* const> tables,
                                                  DatabaseOptions options);
  explicit Database(std::unique_ptr<DatabaseState> state);

  std::unique_ptr<DatabaseState> state_;
};

/// Bounds what SQLite itself takes for all databases of the process together: sorts, groups,
/// temporary tables, large values. A statement that needs more fails with out_of_memory. For
/// programs: a library leaves it to them.
void limit_sqlite_memory(std::uint64_t bytes);

/// Whether `text` ends with a complete statement (a semicolon outside of strings and comments).
[[nodiscard]] bool is_complete_statement(const std::string& text);

/// SQL's keywords, upper-case, as SQLite knows them.
[[nodiscard]] std::vector<std::string> keywords();

}  // namespace engram::sql
