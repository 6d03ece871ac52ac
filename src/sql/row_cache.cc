// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/row_cache.h"

#include <algorithm>
#include <limits>
#include <string_view>

namespace engram::sql {
namespace {

using tables::Value;

std::uint64_t hash_bytes(const void* data, std::size_t size) {
  return std::hash<std::string_view>()({static_cast<const char*>(data), size});
}

std::uint64_t heap_bytes(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->capacity();
  if (const auto* blob = std::get_if<tables::Blob>(&value)) return blob->capacity();
  return 0;
}

}  // namespace

bool same(const Value& a, const Value& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& left) {
        using Held = std::decay_t<decltype(left)>;
        if constexpr (std::is_same_v<Held, tables::Null>) {
          return true;
        } else {
          return left == std::get<Held>(b);
        }
      },
      a);
}

std::uint64_t hash(const Value& value) {
  struct Hasher {
    std::uint64_t operator()(tables::Null) const { return 0; }
    std::uint64_t operator()(std::int64_t integer) const {
      return hash_bytes(&integer, sizeof integer);
    }
    std::uint64_t operator()(double real) const {
      const double unsigned_zero = real == 0 ? 0.0 : real;  // -0.0 equals 0.0
      return hash_bytes(&unsigned_zero, sizeof unsigned_zero);
    }
    std::uint64_t operator()(const std::string& text) const {
      return hash_bytes(text.data(), text.size());
    }
    std::uint64_t operator()(const tables::Blob& blob) const {
      return hash_bytes(blob.data(), blob.size());
    }
  };
  return std::visit(Hasher{}, value);
}

Result<std::optional<RowCache>> RowCache::build(tables::Cursor& cursor, std::size_t column_count,
                                                ColumnSet columns,
                                                const std::atomic<bool>& interrupted,
                                                BudgetShare share) {
  RowCache cache(std::move(share));
  cache.slots_.assign(column_count, kNoSlot);
  std::vector<std::size_t> kept;
  for (std::size_t column = 0; column < column_count; ++column) {
    if (!columns.contains(column)) continue;
    cache.slots_[column] = kept.size();
    kept.push_back(column);
  }
  cache.width_ = kept.size();

  while (true) {
    if (interrupted.load(std::memory_order_relaxed)) return fail("interrupted");
    ENGRAM_TRY(const bool more, cursor.next());
    if (!more) break;
    const std::size_t wanted = cache.cells_.size() + kept.size();
    std::uint64_t bytes = sizeof(std::int64_t);  // the row's number, if it is asked for
    if (wanted > cache.cells_.capacity()) {
      // While the cells move they are there twice.
      const std::size_t capacity = std::max(wanted, 2 * cache.cells_.capacity());
      if (!cache.share_.grow(capacity * sizeof(Value))) return std::optional<RowCache>();
      cache.cells_.reserve(capacity);
    }
    for (const std::size_t column : kept) {
      cache.cells_.push_back(cursor.column(column));
      bytes += heap_bytes(cache.cells_.back());
    }
    ++cache.rows_;
    if (!cache.share_.grow(bytes) || cache.rows_ >= std::numeric_limits<std::uint32_t>::max()) {
      return std::optional<RowCache>();
    }
  }
  return std::optional<RowCache>(std::move(cache));
}

const Value* RowCache::at(std::size_t row, std::size_t column) const {
  const std::size_t slot = slots_[column];
  return slot == kNoSlot ? nullptr : &cells_[row * width_ + slot];
}

const RowCache::Index* RowCache::index(std::size_t column, std::size_t type) {
  if (const auto known = indexes_.find(column); known != indexes_.end()) return &known->second;
  if (!share_.grow(rows_ * (sizeof(Index::by_hash[0]) + sizeof(Index::other_type[0])))) {
    return nullptr;
  }
  Index index;
  for (std::size_t row = 0; row < rows_; ++row) {
    const Value& cell = *at(row, column);
    const auto number = static_cast<std::uint32_t>(row);
    if (cell.index() == type) {
      index.by_hash.emplace_back(hash(cell), number);
    } else if (!std::holds_alternative<tables::Null>(cell)) {
      index.other_type.push_back(number);
    }
  }
  std::sort(index.by_hash.begin(), index.by_hash.end());
  return &indexes_.emplace(column, std::move(index)).first->second;
}

std::optional<std::vector<std::uint32_t>> RowCache::candidates(std::size_t column,
                                                               const Value& value) {
  const Index* const rows = index(column, value.index());
  if (rows == nullptr) return std::nullopt;
  std::vector<std::uint32_t> found = rows->other_type;
  const std::uint64_t wanted = hash(value);
  auto entry = std::lower_bound(rows->by_hash.begin(), rows->by_hash.end(),
                                std::pair(wanted, std::uint32_t{0}));
  for (; entry != rows->by_hash.end() && entry->first == wanted; ++entry) {
    found.push_back(entry->second);
  }
  return found;
}

}  // namespace engram::sql
