// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Rows of a table kept for the rest of one statement, so that the inner table of a join is walked
// once and not for every row of the outer one.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sql/row_budget.h"
#include "tables/table.h"

namespace engram::sql {

/// A set of columns as SQLite's colUsed has it: bit 63 stands for all columns from 63 on.
class ColumnSet {
 public:
  explicit ColumnSet(std::uint64_t bits = ~std::uint64_t{0}) : bits_(bits) {}
  [[nodiscard]] bool contains(std::size_t column) const {
    return ((bits_ >> (column < 63 ? column : 63)) & 1U) != 0;
  }
  [[nodiscard]] std::uint64_t bits() const { return bits_; }
  bool operator==(const ColumnSet&) const = default;

 private:
  std::uint64_t bits_;
};

/// The columns of a table that are kept of each row, and their places in it.
class KeptColumns {
 public:
  KeptColumns(std::size_t column_count, ColumnSet columns);

  /// In the order of their places.
  [[nodiscard]] const std::vector<std::size_t>& columns() const { return columns_; }
  /// Nothing for a column that is not kept.
  [[nodiscard]] std::optional<std::size_t> place(std::size_t column) const {
    return places_[column];
  }

 private:
  std::vector<std::size_t> columns_;
  std::vector<std::optional<std::size_t>> places_;  ///< by column
};

/// Cells, by place.
using KeptRow = std::vector<tables::Value>;

class KeptRows {
 public:
  KeptRows() = default;
  KeptRows(const KeptRows&) = delete;
  KeptRows& operator=(const KeptRows&) = delete;
  virtual ~KeptRows() = default;

  [[nodiscard]] virtual std::size_t size() const = 0;

  /// Errors: rows in a file cannot be read.
  virtual Result<tables::Value> at(std::size_t row, std::size_t place) = 0;

  /// The rows whose cell may equal `value`, which has the column's type: all that do, and those
  /// with a cell of another type, for SQLite to compare. Nothing if there is no room for an index:
  /// it may be any row then. Errors: rows in a file cannot be read.
  virtual Result<std::optional<std::vector<std::uint32_t>>> candidates(
      std::size_t place, const tables::Value& value) = 0;
};

/// What becomes of rows that exceed the budget.
enum class Beyond : std::uint8_t {
  walk_again,  ///< they are not kept
  file,        ///< they are kept in a temporary file without a name
};

/// Pulls all rows of `cursor`; null if they cannot be kept.
/// Errors: those of the cursor; `interrupted`, which must outlive the rows, became true.
Result<std::unique_ptr<KeptRows>> keep_rows(tables::Cursor& cursor, const KeptColumns& columns,
                                            const std::atomic<bool>& interrupted, BudgetShare share,
                                            Beyond beyond);

}  // namespace engram::sql
