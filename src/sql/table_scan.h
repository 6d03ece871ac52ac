// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// One table's place in a running statement: walks the table the first time, and from the second
// time on serves the same rows out of a cache.
//
// The first walk pulls row by row, so that LIMIT stops it and nothing is computed that nobody asked
// for. A statement that comes back for the same rows is a join (or a correlated subquery): then the
// rows are kept, and indexed by the column that the join compares. That is what AS MATERIALIZED and
// an index do in a database that the user has to tune.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sql/row_cache.h"
#include "tables/table.h"

namespace engram::sql {

/// A table bound to the session that it reads.
struct Binding {
  const tables::Table* table = nullptr;
  std::vector<tables::ColumnInfo> columns;
  kernel::Session* session = nullptr;  ///< null in a database that has only a schema
  const std::atomic<bool>* interrupted = nullptr;
};

/// What a statement asks of a table.
struct Request {
  std::vector<tables::KeyValue> keys;      ///< for Table::open()
  std::optional<tables::KeyValue> lookup;  ///< one more `=`, on a column that is no key
  ColumnSet columns;                       ///< that will be asked for

  /// The walk that both need is the same; they may look for different rows in it.
  [[nodiscard]] bool same_walk(const Request& other) const;
};

class TableScan {
 public:
  explicit TableScan(const Binding& binding) : binding_(&binding) {}

  /// Moves to the first row. Rows that do not match `lookup` may come, too.
  /// Errors: those of the table; no image behind the schema.
  Result<void> begin(Request request);
  /// Begins a scan without rows; the table is not opened.
  void begin_empty() { at_end_ = true; }

  Result<void> next();
  [[nodiscard]] bool at_end() const { return at_end_; }

  /// A cell of the current row. Errors: a column that the request does not name.
  Result<tables::Value> column(std::size_t index);

  /// A number that is the same whenever the same row is met in a statement, whatever key led to it.
  /// SQLite recognises by it the rows that both sides of an OR found.
  Result<std::int64_t> row_id();

 private:
  Result<std::unique_ptr<tables::Cursor>> open() const;
  Result<void> begin_cached();
  Result<void> number_cached_rows();
  std::int64_t row_id_of(tables::Cursor& cursor);

  const Binding* binding_;
  Request request_;
  bool at_end_ = true;
  bool walked_ = false;   ///< request_ has been served before
  bool too_big_ = false;  ///< the rows of request_ exceed the cache
  std::unique_ptr<tables::Cursor> cursor_;
  std::optional<std::int64_t> row_id_;                    ///< of the cursor's row, once asked for
  std::unordered_map<std::uint64_t, std::uint64_t> met_;  ///< equal rows so far, by hash

  std::optional<RowCache> cache_;
  std::optional<std::vector<std::uint32_t>> chosen_;  ///< rows of the cache; none: all
  std::size_t position_ = 0;
  std::vector<std::int64_t> cached_row_ids_;
};

}  // namespace engram::sql
