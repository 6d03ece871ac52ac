// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/row_file.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <utility>

#include "sql/value_conversion.h"

namespace engram::sql {
namespace {

using tables::Value;

/// Steps of SQLite's virtual machine between two looks at `interrupted`.
constexpr int kStepsBetween = 10'000;

int is_interrupted(void* flag) {
  return static_cast<const std::atomic<bool>*>(flag)->load() ? 1 : 0;
}

bool holds_null(std::size_t type) {
  return type == Value(tables::Null()).index();
}

}  // namespace

void RowFile::Closer::operator()(sqlite3* opened) const {
  sqlite3_close(opened);
}

void RowFile::Closer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

std::unique_ptr<RowFile> RowFile::create(std::size_t width, const std::atomic<bool>& interrupted) {
  std::unique_ptr<RowFile> file(new RowFile);
  sqlite3* opened = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  // Without a name: a temporary file (https://www.sqlite.org/inmemorydb.html).
  const int status = sqlite3_open_v2("", &opened, kFlags, nullptr);
  file->file_.reset(opened);
  if (status != SQLITE_OK) return nullptr;
  sqlite3_progress_handler(opened, kStepsBetween, is_interrupted,
                           const_cast<std::atomic<bool>*>(&interrupted));

  std::string columns, values;
  for (std::size_t i = 0; i < std::max<std::size_t>(width, 1); ++i) {
    columns += fmt::format("{}c{}", i == 0 ? "" : ", ", i);
    values += i == 0 ? "?" : ", ?";
  }
  // One transaction, which never ends: nothing is for anybody else. Columns without a type keep
  // each value as it is.
  for (const auto& sql : {std::string("PRAGMA journal_mode = OFF"), std::string("BEGIN EXCLUSIVE"),
                          fmt::format("CREATE TABLE r({})", columns)}) {
    if (!file->execute(sql)) return nullptr;
  }
  file->insert_ = file->prepare(fmt::format("INSERT INTO r VALUES({})", values));
  file->read_ = file->prepare("SELECT * FROM r WHERE rowid = ?");
  if (!file->insert_ || !file->read_) return nullptr;
  file->columns_.resize(width);
  return file;
}

bool RowFile::execute(const std::string& sql) const {
  return sqlite3_exec(file_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

RowFile::Statement RowFile::prepare(const std::string& sql) const {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v3(file_.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return Statement(statement);
}

Error RowFile::error() const {
  return Error{
      fmt::format("rows that were put into a temporary file: {}", sqlite3_errmsg(file_.get()))};
}

bool RowFile::add(const KeptRow& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (!bind(insert_.get(), static_cast<int>(i) + 1, row[i])) return false;
    columns_[i].types |= 1U << row[i].index();
  }
  const bool done = sqlite3_step(insert_.get()) == SQLITE_DONE;
  if (sqlite3_reset(insert_.get()) != SQLITE_OK || !done) return false;
  ++rows_;
  return true;
}

Result<Value> RowFile::at(std::size_t row, std::size_t place) {
  if (current_ != row) {
    current_.reset();
    sqlite3_reset(read_.get());
    // The first row has number 1.
    sqlite3_bind_int64(read_.get(), 1, static_cast<sqlite3_int64>(row) + 1);
    if (sqlite3_step(read_.get()) != SQLITE_ROW) return tl::unexpected(error());
    current_ = row;
  }
  return to_value(sqlite3_column_value(read_.get(), static_cast<int>(place)));
}

void RowFile::make_index(std::size_t place) {
  Column& column = columns_[place];
  if (std::exchange(column.is_tried, true)) return;
  if (!execute(fmt::format("CREATE INDEX i{0} ON r(c{0})", place))) return;
  column.find = prepare(fmt::format("SELECT rowid FROM r WHERE c{} = ?", place));
}

Result<std::optional<std::vector<std::uint32_t>>> RowFile::candidates(std::size_t place,
                                                                      const Value& value) {
  std::optional<std::vector<std::uint32_t>> found;
  for (std::size_t type = 0; type < std::variant_size_v<Value>; ++type) {
    const bool is_there = (columns_[place].types >> type & 1U) != 0;
    if (is_there && type != value.index() && !holds_null(type)) return found;
  }
  make_index(place);
  sqlite3_stmt* const find = columns_[place].find.get();
  if (find == nullptr || !bind(find, 1, value)) return found;
  found.emplace();
  int status = sqlite3_step(find);
  for (; status == SQLITE_ROW; status = sqlite3_step(find)) {
    found->push_back(static_cast<std::uint32_t>(sqlite3_column_int64(find, 0) - 1));
  }
  sqlite3_reset(find);
  if (status != SQLITE_DONE) return tl::unexpected(error());
  return found;
}

}  // namespace engram::sql
