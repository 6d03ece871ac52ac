// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// One table's place in a running statement: walks the table the first time, and from the second
// time on serves the same rows, which it has kept.
//
// The first walk pulls row by row, so that LIMIT stops it and nothing is computed that nobody asked
// for. A statement that comes back for the same rows is a join (or a correlated subquery): then the
// rows are kept, and indexed by the column that the join compares. That is what AS MATERIALIZED and
// an index do in a database that the user has to tune.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sql/kept_rows.h"
#include "tables/table.h"

namespace engram::sql {

/// What a statement asks of a table.
struct Request {
  std::vector<tables::KeyValue> keys;      ///< for Table::open()
  std::optional<tables::KeyValue> lookup;  ///< one more `=`, on a column that is no key
  ColumnSet columns;                       ///< that will be asked for
};

/// The rows behind a request, lookup aside, as far as they are known.
struct Walk {
  std::vector<tables::KeyValue> keys;
  bool is_kept = true;                 ///< or there is no room for the rows
  std::optional<KeptColumns> columns;  ///< of the rows
  std::unique_ptr<KeptRows> rows;      ///< null: not yet
  std::vector<std::int64_t> row_ids;   ///< of the kept rows, once asked for
};

/// The walks of the running statements. A statement has a few scans of a table, and each of them
/// may be closed and opened again for every row of an outer table; so this outlives the scans.
class Walks {
 public:
  /// The last walk for these columns and key columns if it was for the same keys, too; else
  /// remembers that there is one from now on, and returns null.
  std::shared_ptr<Walk> find_or_note(const Request& request);
  void clear() { walks_.clear(); }

 private:
  using Shape = std::pair<std::uint64_t, std::vector<std::size_t>>;
  std::map<Shape, std::shared_ptr<Walk>> walks_;
};

/// A table bound to the session that it reads.
struct Binding {
  const tables::Table* table = nullptr;
  std::vector<tables::ColumnInfo> columns;
  kernel::Session* session = nullptr;  ///< null in a database that has only a schema
  const std::atomic<bool>* interrupted = nullptr;
  std::shared_ptr<RowBudget> kept_rows;
  Beyond beyond = Beyond::walk_again;
  Walks walks;
};

class TableScan {
 public:
  explicit TableScan(Binding& binding) : binding_(&binding) {}

  /// Moves to the first row. Rows that do not match `lookup` may come, too.
  /// Errors: those of the table; no image behind the schema.
  Result<void> begin(Request request);
  /// Begins a scan without rows; the table is not opened.
  void begin_empty() { at_end_ = true; }

  Result<void> next();
  [[nodiscard]] bool at_end() const { return at_end_; }

  /// A cell of the current row. Errors: a column that the request does not name.
  Result<tables::Value> column(std::size_t index);

  /// A number that is the same whenever the same row is met in a statement, whatever key led to it,
  /// as far as the columns tell that the statement uses. SQLite recognises by it the rows that both
  /// sides of an OR found.
  Result<std::int64_t> row_id();

 private:
  Result<std::unique_ptr<tables::Cursor>> open() const;
  Result<void> keep(Walk& walk) const;
  Result<void> begin_kept();
  Result<void> number_kept_rows();
  template <class CellAt>
  Result<std::int64_t> row_id_of(CellAt cell_at);
  [[nodiscard]] std::size_t kept_row() const { return chosen_ ? (*chosen_)[position_] : position_; }

  Binding* binding_;
  Request request_;
  bool at_end_ = true;

  // Of a scan that walks the table:
  std::unique_ptr<tables::Cursor> cursor_;
  std::optional<std::int64_t> row_id_;                    ///< of the current row, once asked for
  std::unordered_map<std::uint64_t, std::uint64_t> met_;  ///< equal rows so far, by hash

  // Of a scan of kept rows (cursor_ is null):
  std::shared_ptr<Walk> walk_;
  std::optional<std::vector<std::uint32_t>> chosen_;  ///< of these; none: all
  std::size_t position_ = 0;
};

}  // namespace engram::sql
