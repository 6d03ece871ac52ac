// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Rows of a table kept for the rest of one statement, so that the inner table of a join is walked
// once and not for every row of the outer one.

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
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

/// Equal type and value; two NULLs are the same here.
[[nodiscard]] bool same(const tables::Value& a, const tables::Value& b);

[[nodiscard]] std::uint64_t hash(const tables::Value& value);

class RowCache {
 public:
  /// Pulls all rows of `cursor`; nothing if they exceed the budget: the table is then walked again
  /// each time.
  /// Errors: those of the cursor; `interrupted` became true.
  static Result<std::optional<RowCache>> build(tables::Cursor& cursor, std::size_t column_count,
                                               ColumnSet columns,
                                               const std::atomic<bool>& interrupted,
                                               BudgetShare share);

  [[nodiscard]] std::size_t size() const { return rows_; }
  /// Null if the column was not asked for in build().
  [[nodiscard]] const tables::Value* at(std::size_t row, std::size_t column) const;

  /// The rows whose cell may equal `value`, which has the column's type: all that do, and those
  /// with a cell of another type, for SQLite to compare. Nothing if the budget has no room for the
  /// index: it may be any row then.
  [[nodiscard]] std::optional<std::vector<std::uint32_t>> candidates(std::size_t column,
                                                                     const tables::Value& value);

 private:
  struct Index {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> by_hash;  ///< of the cell; sorted
    std::vector<std::uint32_t> other_type;
  };

  explicit RowCache(BudgetShare share) : share_(std::move(share)) {}
  /// Null if the budget has no room for it.
  const Index* index(std::size_t column, std::size_t type);

  BudgetShare share_;
  static constexpr std::size_t kNoSlot = ~std::size_t{0};
  std::vector<std::size_t> slots_;  ///< by column: its place among the cells of a row
  std::size_t width_ = 0;           ///< cells of a row
  std::size_t rows_ = 0;
  std::vector<tables::Value> cells_;
  std::map<std::size_t, Index> indexes_;  ///< by column
};

}  // namespace engram::sql
