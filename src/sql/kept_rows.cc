// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/kept_rows.h"

#include <limits>
#include <utility>

#include "sql/row_cache.h"
#include "sql/row_file.h"

namespace engram::sql {
namespace {

/// The next row; false at the end. Errors: those of the cursor; interrupted.
Result<bool> read(tables::Cursor& cursor, const KeptColumns& columns,
                  const std::atomic<bool>& interrupted, KeptRow& row) {
  if (interrupted.load(std::memory_order_relaxed)) return fail("interrupted");
  ENGRAM_TRY(const bool more, cursor.next());
  if (!more) return false;
  row.clear();
  for (const std::size_t column : columns.columns()) row.push_back(cursor.column(column));
  return true;
}

/// What was kept so far, `row`, and what the cursor still has; null if there is no room.
Result<std::unique_ptr<KeptRows>> keep_in_file(std::unique_ptr<RowCache> kept, KeptRow row,
                                               tables::Cursor& cursor, const KeptColumns& columns,
                                               const std::atomic<bool>& interrupted) {
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  auto file = RowFile::create(columns.columns().size(), interrupted);
  if (file == nullptr || !kept->move_to(*file)) return nullptr;
  kept.reset();
  do {
    if (file->size() == kMost || !file->add(row)) return nullptr;
    ENGRAM_TRY(const bool more, read(cursor, columns, interrupted, row));
    if (!more) return file;
  } while (true);
}

}  // namespace

KeptColumns::KeptColumns(std::size_t column_count, ColumnSet columns) : places_(column_count) {
  for (std::size_t column = 0; column < column_count; ++column) {
    if (!columns.contains(column)) continue;
    places_[column] = columns_.size();
    columns_.push_back(column);
  }
}

Result<std::unique_ptr<KeptRows>> keep_rows(tables::Cursor& cursor, const KeptColumns& columns,
                                            const std::atomic<bool>& interrupted, BudgetShare share,
                                            Beyond beyond) {
  auto cache = std::make_unique<RowCache>(columns.columns().size(), std::move(share));
  KeptRow row;
  while (true) {
    ENGRAM_TRY(const bool more, read(cursor, columns, interrupted, row));
    if (!more) return cache;
    if (cache->add(row)) continue;
    if (beyond == Beyond::walk_again) return nullptr;
    return keep_in_file(std::move(cache), std::move(row), cursor, columns, interrupted);
  }
}

}  // namespace engram::sql
