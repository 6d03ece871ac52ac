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
  if (walk_ && !walk_->too_big) {
    ENGRAM_CHECK(fill_cache(*walk_));
    if (walk_->cache) {
      begin_cached();
      return {};
    }
  }
  met_.clear();
  ENGRAM_TRY(cursor_, open());
  return next();
}

Result<void> TableScan::fill_cache(Walk& walk) const {
  if (walk.cache) return {};
  ENGRAM_TRY(const auto cursor, open());
  ENGRAM_TRY(walk.cache, RowCache::build(*cursor, binding_->columns.size(), request_.columns,
                                         *binding_->interrupted, BudgetShare(binding_->kept_rows)));
  walk.too_big = !walk.cache;
  return {};
}

void TableScan::begin_cached() {
  chosen_.reset();
  const auto& lookup = request_.lookup;
  if (lookup && request_.columns.contains(lookup->column)) {
    chosen_ = walk_->cache->candidates(lookup->column, lookup->value);
  }
  position_ = 0;
  at_end_ = (chosen_ ? chosen_->size() : walk_->cache->size()) == 0;
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
  at_end_ = position_ >= (chosen_ ? chosen_->size() : walk_->cache->size());
  return {};
}

Result<tables::Value> TableScan::column(std::size_t index) {
  if (cursor_) return cursor_->column(index);
  const auto* cell = walk_->cache->at(cached_row(), index);
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
  std::vector<std::int64_t> ids;
  while (ids.size() < walk_->cache->size()) {
    ENGRAM_TRY(const bool more, cursor->next());
    if (!more) return fail("{}: has fewer rows than before", binding_->table->name());
    ids.push_back(row_id_of(*cursor));
  }
  walk_->row_ids = std::move(ids);
  return {};
}

Result<std::int64_t> TableScan::row_id() {
  if (cursor_) {
    if (!row_id_) row_id_ = row_id_of(*cursor_);
    return *row_id_;
  }
  if (walk_->row_ids.empty()) ENGRAM_CHECK(number_cached_rows());
  return walk_->row_ids[cached_row()];
}

}  // namespace engram::sql
