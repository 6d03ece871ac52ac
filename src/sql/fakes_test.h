// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// For tests: a session over a small image file, and a table that says what was asked of it.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/test_file.h"
#include "kernel/session.h"
#include "tables/table.h"

namespace engram::sql {

/// A session over a raw image of 2 MiB of zeros.
inline std::unique_ptr<kernel::Session> make_session() {
  const engram::test::TempFile file(std::vector<std::byte>(2 * kMiB));
  auto image = image::Image::open(file.path());  // the mapping keeps the bytes
  if (!image) {
    ADD_FAILURE() << image.error().text;
    return nullptr;
  }
  return std::make_unique<kernel::Session>(std::move(*image));
}

/// What a FakeTable was asked for.
struct Log {
  std::vector<std::vector<tables::KeyValue>> opens;
  std::size_t rows = 0;              ///< pulled
  std::vector<std::size_t> columns;  ///< cells computed, by column
};

class FakeTable : public tables::Table {
 public:
  using Row = std::vector<tables::Value>;

  FakeTable(std::string_view name, std::vector<tables::ColumnInfo> columns, std::vector<Row> rows,
            std::size_t expected_rows = 1000)
      : name_(name),
        columns_(std::move(columns)),
        rows_(std::move(rows)),
        expected_rows_(expected_rows) {
    log.columns.resize(columns_.size());
  }

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::string_view doc() const override { return "A table for tests."; }
  [[nodiscard]] std::vector<tables::ColumnInfo> columns() const override { return columns_; }
  [[nodiscard]] std::size_t expected_rows() const override { return expected_rows_; }
  Result<std::unique_ptr<tables::Cursor>> open(
      kernel::Session&, std::span<const tables::KeyValue> keys) const override {
    log.opens.emplace_back(keys.begin(), keys.end());
    if (!open_error.empty()) return fail("{}", open_error);
    return std::make_unique<FakeCursor>(*this, log.opens.back());
  }

  mutable Log log;
  std::string open_error;
  std::string next_error;  ///< after fail_after rows
  std::size_t fail_after = 0;
  std::function<void()> at_each_row;  ///< called before a row is handed out

 private:
  static bool equal(const tables::Value& a, const tables::Value& b) {
    if (a.index() != b.index()) return false;
    if (const auto* integer = std::get_if<std::int64_t>(&a)) {
      return *integer == std::get<std::int64_t>(b);
    }
    if (const auto* real = std::get_if<double>(&a)) return *real == std::get<double>(b);
    if (const auto* text = std::get_if<std::string>(&a)) return *text == std::get<std::string>(b);
    if (const auto* blob = std::get_if<tables::Blob>(&a)) return *blob == std::get<tables::Blob>(b);
    return false;
  }

  class FakeCursor : public tables::Cursor {
   public:
    FakeCursor(const FakeTable& table, std::vector<tables::KeyValue> keys)
        : table_(table), keys_(std::move(keys)) {}
    Result<bool> next() override {
      while (at_ < table_.rows_.size()) {
        row_ = &table_.rows_[at_++];
        if (!matches()) continue;
        if (!table_.next_error.empty() && handed_out_ == table_.fail_after) {
          return fail("{}", table_.next_error);
        }
        ++handed_out_;
        ++table_.log.rows;
        if (table_.at_each_row) table_.at_each_row();
        return true;
      }
      return false;
    }
    tables::Value column(std::size_t index) override {
      ++table_.log.columns[index];
      return (*row_)[index];
    }

   private:
    bool matches() const {
      for (const auto& key : keys_) {
        if (!equal((*row_)[key.column], key.value)) return false;
      }
      return true;
    }
    const FakeTable& table_;
    std::vector<tables::KeyValue> keys_;
    std::size_t at_ = 0;
    std::size_t handed_out_ = 0;
    const Row* row_ = nullptr;
  };

  std::string_view name_;
  std::vector<tables::ColumnInfo> columns_;
  std::vector<Row> rows_;
  std::size_t expected_rows_;
};

}  // namespace engram::sql
