// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/shared_table.h"

#include <fmt/core.h>

#include <algorithm>

namespace engram::tables {
namespace {

bool is_windows(kernel::Session& session) {
  if (session.windows_kernel()) return true;
  // Without any kernel, what is wrong with the one that the file's format promises is the answer.
  return session.image().facts().crash.has_value() && !session.linux_kernel();
}

std::optional<std::size_t> number_of(std::span<const ColumnInfo> columns, std::string_view name) {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == name; });
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

class NoRows final : public Cursor {
 public:
  Result<bool> next() override { return false; }
  Value column(std::size_t) override { return Null{}; }
};

class SharedCursor final : public Cursor {
 public:
  SharedCursor(std::unique_ptr<Cursor> inner,
               const std::vector<std::optional<std::size_t>>& numbers)
      : inner_(std::move(inner)), numbers_(numbers) {}
  Result<bool> next() override { return inner_->next(); }
  Value column(std::size_t index) override {
    return numbers_[index] ? inner_->column(*numbers_[index]) : Value{Null{}};
  }

 private:
  std::unique_ptr<Cursor> inner_;
  const std::vector<std::optional<std::size_t>>& numbers_;
};

}  // namespace

SharedTable::SharedTable(const Table& on_linux, const Table& on_windows)
    : linux_(on_linux),
      windows_(on_windows),
      doc_(fmt::format("{} Windows: {}", on_linux.doc(), on_windows.doc())),
      columns_(on_linux.columns()) {
  for (const auto& column : on_windows.columns()) {
    if (!number_of(columns_, column.name)) columns_.push_back(column);
  }
  for (const auto& column : columns_) {
    in_linux_.push_back(number_of(linux_.columns(), column.name));
    in_windows_.push_back(number_of(windows_.columns(), column.name));
  }
}

Result<std::unique_ptr<Cursor>> SharedTable::open(kernel::Session& session,
                                                  std::span<const KeyValue> keys) const {
  const bool windows = is_windows(session);
  const Table& table = windows ? windows_ : linux_;
  const Numbers& numbers = windows ? in_windows_ : in_linux_;
  const auto inner_columns = table.columns();
  std::vector<KeyValue> inner_keys;
  for (const auto& key : keys) {
    const auto number = numbers[key.column];
    if (!number) return std::make_unique<NoRows>();  // NULL equals nothing
    if (inner_columns[*number].key) {
      inner_keys.push_back({*number, key.value, key.is_constant});
    }
  }
  ENGRAM_TRY(auto inner, table.open(session, inner_keys));
  return std::make_unique<SharedCursor>(std::move(inner), numbers);
}

}  // namespace engram::tables
