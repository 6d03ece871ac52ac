// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tables: kernel objects in, named, typed and documented columns out. Knows nothing about SQLite.
//
// In:     a kernel::Session and the values that a query fixes for key columns.
// Out:    Table objects (all of them in all_tables()), whose Cursor pulls one row at a time.
// Owner:  tables are static data. A cursor borrows the session.
// Errors: Error from open() and next(): the table could not do its work, the query fails.
//         A damaged object is a NULL cell or the end of one walk, and a row of the diagnostics
//         table.
//
// A table is one file in this folder: computed columns as free functions, the list of columns as
// data, one Table object; and one line in tables.def.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "kernel/session.h"

namespace engram::tables {

enum class Type : std::uint8_t {
  integer,
  text,
  real,
  blob,
  pointer,  ///< an address: an integer (signed 64 bit in SQL) that writers print as 0x...
};

struct Null {};
using Blob = std::vector<std::byte>;
using Value = std::variant<Null, std::int64_t, double, std::string, Blob>;

/// Makes a cell. Unsigned 64-bit values keep their bits.
inline Value cell(Null) {
  return Null{};
}
inline Value cell(bool v) {
  return std::int64_t{v ? 1 : 0};
}
template <std::integral T>
Value cell(T v) {
  return static_cast<std::int64_t>(v);
}
inline Value cell(double v) {
  return v;
}
inline Value cell(std::string v) {
  return v;
}
inline Value cell(std::string_view v) {
  return std::string(v);
}
inline Value cell(const char* v) {
  return std::string(v);
}
inline Value cell(VirtAddr v) {
  return static_cast<std::int64_t>(v.value);
}
inline Value cell(PhysAddr v) {
  return static_cast<std::int64_t>(v.value);
}
/// NULL for an empty optional.
template <class T>
Value cell(const std::optional<T>& v) {
  return v ? cell(*v) : Value{Null{}};
}

struct ColumnInfo {
  std::string_view name;
  Type type;
  std::string_view doc;  ///< one sentence: meaning, unit, when NULL
  bool hidden = false;   ///< not in SELECT *, but can be named
  bool key = false;      ///< a query that fixes it hands its value to open()
  /// Texts of it that differ in the case of ASCII letters are equal (SQL's COLLATE NOCASE). A
  /// comparison without case is never handed to open().
  bool ignores_case = false;
};

/// A key column that a query fixes with `=`. The value is never NULL: `= NULL` yields no rows
/// before open().
struct KeyValue {
  std::size_t column = 0;
  Value value;
  bool is_constant = false;  ///< the query says it; not the row of another table
};

class Cursor {
 public:
  virtual ~Cursor() = default;
  /// Moves to the next row (the first call: to the first); false after the last.
  virtual Result<bool> next() = 0;
  /// A cell of the current row; called only for columns that the query uses.
  virtual Value column(std::size_t index) = 0;
};

class Table {
 public:
  virtual ~Table() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view doc() const = 0;
  /// In declared order, which is the order of SELECT *.
  [[nodiscard]] virtual std::vector<ColumnInfo> columns() const = 0;
  /// Rows to expect without constraints: a hint for the query planner.
  [[nodiscard]] virtual std::size_t expected_rows() const { return 1000; }
  virtual Result<std::unique_ptr<Cursor>> open(kernel::Session& session,
                                               std::span<const KeyValue> keys) const = 0;
};

/// A column of a table whose rows are of type Row: its description and how to compute its cell.
template <class Row>
struct Column {
  ColumnInfo info;
  std::function<Value(const Row&, kernel::Session&)> get;
};

/// Produces rows one by one: nothing after the last, or the error that ends the query.
template <class Row>
using Rows = std::function<Result<std::optional<Row>>()>;

/// A table made of data: see os_version.cc for the shortest example.
template <class Row>
class DataTable : public Table {
 public:
  using Open = std::function<Result<Rows<Row>>(kernel::Session&, std::span<const KeyValue>)>;

  DataTable(std::string_view name, std::string_view doc, std::size_t expected_rows,
            std::vector<Column<Row>> columns, Open open)
      : name_(name),
        doc_(doc),
        expected_rows_(expected_rows),
        columns_(std::move(columns)),
        open_(std::move(open)) {}

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::string_view doc() const override { return doc_; }
  [[nodiscard]] std::size_t expected_rows() const override { return expected_rows_; }
  [[nodiscard]] std::vector<ColumnInfo> columns() const override {
    std::vector<ColumnInfo> infos;
    for (const auto& column : columns_) infos.push_back(column.info);
    return infos;
  }
  Result<std::unique_ptr<Cursor>> open(kernel::Session& session,
                                       std::span<const KeyValue> keys) const override {
    ENGRAM_TRY(auto rows, open_(session, keys));
    return std::make_unique<DataCursor>(session, columns_, std::move(rows));
  }

 private:
  class DataCursor : public Cursor {
   public:
    DataCursor(kernel::Session& session, const std::vector<Column<Row>>& columns, Rows<Row> rows)
        : session_(session), columns_(columns), rows_(std::move(rows)) {}
    Result<bool> next() override {
      ENGRAM_TRY(row_, rows_());
      return row_.has_value();
    }
    Value column(std::size_t index) override { return columns_[index].get(*row_, session_); }

   private:
    kernel::Session& session_;
    const std::vector<Column<Row>>& columns_;
    Rows<Row> rows_;
    std::optional<Row> row_;
  };

  std::string_view name_;
  std::string_view doc_;
  std::size_t expected_rows_;
  std::vector<Column<Row>> columns_;
  Open open_;
};

/// Rows out of a vector that is already there.
template <class Row>
Rows<Row> rows_of(std::vector<Row> all) {
  return [all = std::move(all), at = std::size_t{0}]() mutable -> Result<std::optional<Row>> {
    if (at == all.size()) return std::optional<Row>();
    return std::optional<Row>(std::move(all[at++]));
  };
}

/// All tables, in the order of tables.def.
[[nodiscard]] std::span<const Table* const> all_tables();

}  // namespace engram::tables
