// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The SQL functions that engram adds to SQLite's own.

#include <span>
#include <string_view>

#include "base/diagnostics.h"
#include "base/result.h"
#include "sql/guest_lookups.h"

struct sqlite3;

namespace engram::sql {

struct FunctionDoc {
  std::string_view usage;  ///< "addr(x)"
  std::string_view doc;
};

[[nodiscard]] std::span<const FunctionDoc> function_docs();

/// The most bytes that read_bytes() returns in one call.
inline constexpr std::int64_t kReadBytesLimit = 16 * static_cast<std::int64_t>(kMiB);

/// The largest file that file_contents() returns, in bytes.
inline constexpr std::uint64_t kFileContentsLimit = 256 * kMiB;

/// What the functions work with; must outlive the connection.
struct FunctionContext {
  GuestLookups lookups;
  Diagnostics* diagnostics = nullptr;  ///< may be null: then nothing is logged
};

/// Errors: SQLite's own (no memory).
Result<void> register_functions(sqlite3* database, FunctionContext& context);

}  // namespace engram::sql
