// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/table_scan.h"

#include <algorithm>
#include <utility>

#include "sql/row_cache.h"

namespace engram::sql {
namespace {

constexpr std::uint64_t kGolden =
    0x9e3779b97f4a7c15;  // 2^64 / golden ratio, as in Fibonacci hashing

std::uint64_t combine(std::uint64_t seed, std::uint64_t value) {
  const std::uint64_t mixed = (seed ^ value) * kGolden;
  return mixed ^ (mixed >> 29U);
}

}  // namespace

std::shared_ptr<Walk> Walks::find_or_note(const Request& request) {
  Shape shape{request.columns.bits(), {}};
  for (const auto& key : request.keys) shape.second.push_back(key.column);
  std::shared_ptr<Walk>& last = walks_[std::move(shape)];
  const auto same_value = [](const tables::KeyValue& a, const tables::KeyValue& b) {
    return same(a.value, b.value);
  };
  if (last && std::equal(last->keys.begin(), last->keys.end(), request.keys.begin(), same_value)) {
    return last;
  }
  last = std::make_shared<Walk>();
  last->keys = request.keys;
  return nullptr;
}

Result<std::unique_ptr<tables::Cursor>> TableScan::open() const {
  if (binding_->session == nullptr) {
    return fail("{}: there is no image behind this database", binding_->table->name());
  }
  return binding_->table->open(*binding_->session, request_.keys);
}

Result<void> TableScan::begin(Request request) {
  request_ = std::move(request);
  cursor_.reset();
  at_end_ = true;
  walk_ = binding_->walks.find_or_note(request_);
  if (walk_ && walk_->is_kept) {
    ENGRAM_CHECK(keep(*walk_));
    if (walk_->rows) return begin_kept();
  }
  met_.clear();
  ENGRAM_TRY(cursor_, open());
  return next();
}

Result<void> TableScan::keep(Walk& walk) const {
  if (walk.rows) return {};
  ENGRAM_TRY(const auto cursor, open());
  walk.columns.emplace(binding_->columns.size(), request_.columns);
  ENGRAM_TRY(walk.rows, keep_rows(*cursor, *walk.columns, *binding_->interrupted,
                                  BudgetShare(binding_->kept_rows), binding_->beyond));
  walk.is_kept = walk.rows != nullptr;
  return {};
}

Result<void> TableScan::begin_kept() {
  chosen_.reset();
  if (const auto& lookup = request_.lookup) {
    if (const auto place = walk_->columns->place(lookup->column)) {
      ENGRAM_TRY(chosen_, walk_->rows->candidates(*place, lookup->value));
    }
  }
  position_ = 0;
  at_end_ = (chosen_ ? chosen_->size() : walk_->rows->size()) == 0;
  return {};
}

Result<void> TableScan::next() {
  if (cursor_) {
    row_id_.reset();
    at_end_ = true;  // an error ends the scan
    ENGRAM_TRY(const bool more, cursor_->next());
    at_end_ = !more;
    return {};
  }
  ++position_;
  at_end_ = position_ >= (chosen_ ? chosen_->size() : walk_->rows->size());
  return {};
}

Result<tables::Value> TableScan::column(std::size_t index) {
  if (cursor_) return cursor_->column(index);
  const auto place = walk_->columns->place(index);
  if (!place) {
    return fail("{}: column {} was not announced", binding_->table->name(),
                binding_->columns[index].name);
  }
  return walk_->rows->at(kept_row(), *place);
}

template <class CellAt>
Result<std::int64_t> TableScan::row_id_of(CellAt cell_at) {
  std::uint64_t row_hash = 0;
  for (std::size_t column = 0; column < binding_->columns.size(); ++column) {
    if (!request_.columns.contains(column)) continue;
    ENGRAM_TRY(const tables::Value cell, cell_at(column));
    row_hash = combine(combine(row_hash, cell.index()), hash(cell));
  }
  // Rows that agree in these columns are still several rows: they are numbered. What finds one of
  // them compares no other column, and so finds all.
  return static_cast<std::int64_t>(combine(row_hash, met_[row_hash]++));
}

Result<void> TableScan::number_kept_rows() {
  met_.clear();
  std::vector<std::int64_t> ids;
  for (std::size_t row = 0; row < walk_->rows->size(); ++row) {
    ENGRAM_TRY(const auto id, row_id_of([&](std::size_t column) {
                 return walk_->rows->at(row, *walk_->columns->place(column));
               }));
    ids.push_back(id);
  }
  walk_->row_ids = std::move(ids);
  return {};
}

Result<std::int64_t> TableScan::row_id() {
  if (cursor_) {
    if (!row_id_) {
      ENGRAM_TRY(row_id_, row_id_of([this](std::size_t column) -> Result<tables::Value> {
                   return cursor_->column(column);
                 }));
    }
    return *row_id_;
  }
  if (walk_->row_ids.empty()) ENGRAM_CHECK(number_kept_rows());
  return walk_->row_ids[kept_row()];
}

}  // namespace engram::sql
