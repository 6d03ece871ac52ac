// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writes files out of the page cache of an image into a directory.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/console.h"
#include "cli/interrupts.h"
#include "cli/run_sql.h"
#include "sql/database.h"

namespace engram::cli {

/// What was written.
struct Dumped {
  std::uint64_t files = 0;
  std::uint64_t complete = 0;  ///< files of them whose content is known whole
  std::uint64_t bytes = 0;     ///< out of the page cache; what is not known is a hole
};

/// Which files, and where to.
struct DumpRequest {
  std::string directory;  ///< made if it is not there; nothing in it is overwritten
  std::string where;      ///< an SQL expression over the view cached_files; empty: all of them
};

/// Each file once, however many processes have it. What is written about it is in manifest.jsonl.
/// Errors: of the SQL, interrupted, the directory cannot be written to.
Result<Dumped, RunFailure> dump_files(sql::Database& database, const DumpRequest& request,
                                      const Console& console, Interrupts& interrupts);

/// "12 files, 10 of them complete, 34567 bytes".
[[nodiscard]] std::string to_string(const Dumped& dumped);

}  // namespace engram::cli
