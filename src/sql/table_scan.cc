// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/table_scan.h"

#include <algorithm>
#include <utility>

namespace engram::sql {
namespace {

constexpr std::uint64_t kGolden =
    0x9e3779b97f4a7c15;  // 2^64 / golden ratio, as in Fibonacci hashing

std::uint64_t combine(std::uint64_t seed, std::uint64_t value) {
  const std::uint64_t mixed = (seed ^ value) * kGolden;
  return mixed ^ (mixed >> 29U);
}

}  // namespace

bool Request::same_walk(const Request& other) const {
  const auto same_key = [](const tables::KeyValue& a, const tables::KeyValue& b) {
    return a.column == b.column && same(a.value, b.value);
  };
  return columns == other.columns &&
         std::equal(keys.begin(), keys.end(), other.keys.begin(), other.keys.end(), same_key);
}

Result<std::unique_ptr<tables::Cursor>> TableScan::open() const {
  if (binding_->session == nullptr) {
    return fail("{}: there is no image behind this database", binding_->table->name());
  }
  return binding_->table->open(*binding_->session, request_.keys);
}

Result<void> TableScan::begin(Request request) {
  const bool again = walked_ && request_.same_walk(request);
  request_ = std::move(request);
  if (again && !too_big_) {
    ENGRAM_CHECK(begin_cached());
    if (cache_) return {};
  }
  if (!again) {
    cache_.reset();
    cached_row_ids_.clear();
    too_big_ = false;
  }
  met_.clear();
  walked_ = true;
  ENGRAM_TRY(cursor_, open());
  return next();
}

Result<void> TableScan::begin_cached() {
  cursor_.reset();
  if (!cache_) {
    ENGRAM_TRY(const auto cursor, open());
    ENGRAM_TRY(cache_, RowCache::build(*cursor, binding_->columns.size(), request_.columns,
                                       *binding_->interrupted));
    too_big_ = !cache_;
    if (too_big_) return {};
  }
  chosen_.reset();
  const auto& lookup = request_.lookup;
  if (lookup && request_.columns.contains(lookup->column)) {
    chosen_ = cache_->candidates(lookup->column, lookup->value);
  }
  position_ = 0;
  at_end_ = (chosen_ ? chosen_->size() : cache_->size()) == 0;
  return {};
}

Result<void> TableScan::next() {
  row_id_.reset();
  if (cursor_) {
    at_end_ = true;  // an error ends the scan
    ENGRAM_TRY(const bool more, cursor_->next());
    at_end_ = !more;
    return {};
  }
  ++position_;
  at_end_ = position_ >= (chosen_ ? chosen_->size() : cache_->size());
  return {};
}

Result<tables::Value> TableScan::column(std::size_t index) {
  if (cursor_) return cursor_->column(index);
  const auto* cell = cache_->at(chosen_ ? (*chosen_)[position_] : position_, index);
  if (cell == nullptr) {
    return fail("{}: column {} was not announced", binding_->table->name(),
                binding_->columns[index].name);
  }
  return *cell;
}

std::int64_t TableScan::row_id_of(tables::Cursor& cursor) {
  std::uint64_t row_hash = 0;
  for (std::size_t column = 0; column < binding_->columns.size(); ++column) {
    const tables::Value cell = cursor.column(column);
    row_hash = combine(combine(row_hash, cell.index()), hash(cell));
  }
  // Rows that agree in every column are still several rows: they are numbered.
  return static_cast<std::int64_t>(combine(row_hash, met_[row_hash]++));
}

Result<void> TableScan::number_cached_rows() {
  met_.clear();
  ENGRAM_TRY(const auto cursor, open());
  while (cached_row_ids_.size() < cache_->size()) {
    ENGRAM_TRY(const bool more, cursor->next());
    if (!more) return fail("{}: has fewer rows than before", binding_->table->name());
    cached_row_ids_.push_back(row_id_of(*cursor));
  }
  return {};
}

Result<std::int64_t> TableScan::row_id() {
  if (cursor_) {
    if (!row_id_) row_id_ = row_id_of(*cursor_);
    return *row_id_;
  }
  if (cached_row_ids_.empty()) ENGRAM_CHECK(number_cached_rows());
  return cached_row_ids_[chosen_ ? (*chosen_)[position_] : position_];
}

}  // namespace engram::sql
