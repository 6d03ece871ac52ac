// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kept rows in memory.

#include <map>
#include <utility>

#include "sql/kept_rows.h"

namespace engram::sql {

class RowFile;

/// Equal type and value; two NULLs are the same here.
[[nodiscard]] bool same(const tables::Value& a, const tables::Value& b);

[[nodiscard]] std::uint64_t hash(const tables::Value& value);

class RowCache final : public KeptRows {
 public:
  /// Of rows of so many cells.
  RowCache(std::size_t width, BudgetShare share) : share_(std::move(share)), width_(width) {}

  /// Takes the cells out of `row`. False, and the row is as it was, if there is no room for it.
  [[nodiscard]] bool add(KeptRow& row);
  /// Adds all rows to a file. False if there is no room in it.
  [[nodiscard]] bool move_to(RowFile& file);

  [[nodiscard]] std::size_t size() const override { return rows_; }
  Result<tables::Value> at(std::size_t row, std::size_t place) override { return cell(row, place); }
  Result<std::optional<std::vector<std::uint32_t>>> candidates(std::size_t place,
                                                               const tables::Value& value) override;

 private:
  struct Index {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> by_hash;  ///< of the cell; sorted
    std::vector<std::uint32_t> other_type;
  };

  [[nodiscard]] const tables::Value& cell(std::size_t row, std::size_t place) const {
    return cells_[row * width_ + place];
  }
  /// Null if the budget has no room for it.
  const Index* index(std::size_t place, std::size_t type);

  BudgetShare share_;
  std::size_t width_;
  std::size_t rows_ = 0;
  std::vector<tables::Value> cells_;
  std::map<std::size_t, Index> indexes_;  ///< by place
};

}  // namespace engram::sql
