// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kept rows in a temporary file.

#include <string>

#include "sql/kept_rows.h"

struct sqlite3;
struct sqlite3_stmt;

namespace engram::sql {

/// A table of a temporary database of SQLite's, which keeps two megabytes of it in memory and
/// removes the file's name before it writes to it.
class RowFile final : public KeptRows {
 public:
  /// Of rows of so many cells; null if there is no memory for it. `interrupted` ends what takes
  /// long and must outlive the file.
  static std::unique_ptr<RowFile> create(std::size_t width, const std::atomic<bool>& interrupted);

  /// False if there is no room, or interrupted.
  [[nodiscard]] bool add(const KeptRow& row);

  [[nodiscard]] std::size_t size() const override { return rows_; }
  Result<tables::Value> at(std::size_t row, std::size_t place) override;
  Result<std::optional<std::vector<std::uint32_t>>> candidates(std::size_t place,
                                                               const tables::Value& value) override;

 private:
  struct Closer {
    void operator()(sqlite3* opened) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Closer>;
  /// Of a column: which types its cells have, and the look-up of a value among them.
  struct Column {
    std::uint32_t types = 0;  ///< bit i: Value::index() i
    bool is_tried = false;    ///< to make an index
    Statement find;           ///< null: there is no index
  };

  RowFile() = default;
  [[nodiscard]] bool execute(const std::string& sql) const;
  [[nodiscard]] Statement prepare(const std::string& sql) const;
  void make_index(std::size_t place);
  [[nodiscard]] Error error() const;

  std::unique_ptr<sqlite3, Closer> file_;  ///< the first member: closed behind its statements
  Statement insert_, read_;
  std::vector<Column> columns_;
  std::size_t rows_ = 0;
  std::optional<std::size_t> current_;  ///< the row that read_ is at
};

}  // namespace engram::sql
