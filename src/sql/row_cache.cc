// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/row_cache.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>

#include "sql/row_file.h"

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

bool RowCache::add(KeptRow& row) {
  std::uint64_t bytes = sizeof(std::int64_t);  // the row's number, if it is asked for
  for (const Value& value : row) bytes += heap_bytes(value);
  const std::size_t wanted = cells_.size() + width_;
  if (wanted > cells_.capacity()) {
    // While the cells move they are there twice.
    const std::size_t capacity = std::max(wanted, 2 * cells_.capacity());
    if (!share_.grow(capacity * sizeof(Value))) return false;
    cells_.reserve(capacity);
  }
  if (!share_.grow(bytes) || rows_ + 1 == std::numeric_limits<std::uint32_t>::max()) return false;
  std::move(row.begin(), row.end(), std::back_inserter(cells_));
  ++rows_;
  return true;
}

bool RowCache::move_to(RowFile& file) {
  KeptRow row(width_);
  auto cell = cells_.begin();
  for (std::size_t i = 0; i < rows_; ++i) {
    for (Value& value : row) value = std::move(*cell++);
    if (!file.add(row)) return false;
  }
  return true;
}

const RowCache::Index* RowCache::index(std::size_t place, std::size_t type) {
  if (const auto known = indexes_.find(place); known != indexes_.end()) return &known->second;
  if (!share_.grow(rows_ * (sizeof(Index::by_hash[0]) + sizeof(Index::other_type[0])))) {
    return nullptr;
  }
  Index index;
  for (std::size_t row = 0; row < rows_; ++row) {
    const Value& cell = this->cell(row, place);
    const auto number = static_cast<std::uint32_t>(row);
    if (cell.index() == type) {
      index.by_hash.emplace_back(hash(cell), number);
    } else if (!std::holds_alternative<tables::Null>(cell)) {
      index.other_type.push_back(number);
    }
  }
  std::sort(index.by_hash.begin(), index.by_hash.end());
  return &indexes_.emplace(place, std::move(index)).first->second;
}

Result<std::optional<std::vector<std::uint32_t>>> RowCache::candidates(std::size_t place,
                                                                       const Value& value) {
  const Index* const rows = index(place, value.index());
  if (rows == nullptr) return std::optional<std::vector<std::uint32_t>>();
  std::vector<std::uint32_t> found = rows->other_type;
  const std::uint64_t wanted = hash(value);
  auto entry = std::lower_bound(rows->by_hash.begin(), rows->by_hash.end(),
                                std::pair(wanted, std::uint32_t{0}));
  for (; entry != rows->by_hash.end() && entry->first == wanted; ++entry) {
    found.push_back(entry->second);
  }
  return std::optional(std::move(found));
}

}  // namespace engram::sql
