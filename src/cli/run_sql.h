// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// SQL text in, its result sets on a writer.

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/console.h"
#include "cli/interrupts.h"
#include "output/writer.h"
#include "sql/database.h"

namespace engram::cli {

struct RunFailure {
  int exit_code = 1;
  std::string text;        ///< empty if there is nobody to tell (the reader of the output is gone)
  bool of_output = false;  ///< not about the image
  std::string place{};     ///< lines that show where in the SQL, if that is known
};

/// Where results go.
struct Results {
  output::Writer& writer;
  output::Sink& sink;  ///< of the writer
};

/// Runs all statements of `sql` in order, up to the first that fails; how many there were.
/// Errors: of the SQL (with line and column, if they are known), interrupted, output not written.
Result<std::size_t, RunFailure> run_sql(sql::Database& database, std::string_view sql,
                                        Results results, const Console& console,
                                        Interrupts& interrupts);

/// "line 2, column 8: TEXT", or the text alone if the error has no place.
[[nodiscard]] std::string describe(const sql::QueryError& error, std::string_view sql);

/// The line of the SQL in which the error lies, cut to a screen, and a mark below it; empty if the
/// error has no place.
[[nodiscard]] std::string place_of(const sql::QueryError& error, std::string_view sql);

/// Prints the error of a command on `image`, if there is somebody to tell, and returns the exit
/// code.
int report(const RunFailure& failure, const std::string& image, const Console& console);

/// What to exit with if the output could not be written.
[[nodiscard]] RunFailure output_failure(const output::Sink& sink, const Error& error);

}  // namespace engram::cli
