// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tables that exist for both operating systems under one name.

#include <optional>
#include <vector>

#include "tables/table.h"

namespace engram::tables {

/// A table for Linux and one for Windows as one: the columns of the first, then those that only the
/// second has. A column that the image's system does not have is NULL in each row.
class SharedTable final : public Table {
 public:
  SharedTable(const Table& on_linux, const Table& on_windows);

  [[nodiscard]] std::string_view name() const override { return linux_.name(); }
  [[nodiscard]] std::string_view doc() const override { return doc_; }
  [[nodiscard]] std::size_t expected_rows() const override { return linux_.expected_rows(); }
  [[nodiscard]] std::vector<ColumnInfo> columns() const override { return columns_; }
  /// Errors: those of the table for the system that the image holds.
  Result<std::unique_ptr<Cursor>> open(kernel::Session& session,
                                       std::span<const KeyValue> keys) const override;

 private:
  /// By number of a column of this table: its number in the other, if it has it.
  using Numbers = std::vector<std::optional<std::size_t>>;

  const Table& linux_;
  const Table& windows_;
  std::string doc_;
  std::vector<ColumnInfo> columns_;
  Numbers in_linux_, in_windows_;
};

}  // namespace engram::tables
