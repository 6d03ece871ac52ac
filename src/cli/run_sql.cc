// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/run_sql.h"

#include <algorithm>

#include "cli/command.h"
#include "cli/open_image.h"
#include "cli/progress.h"
#include "output/text.h"

namespace engram::cli {
namespace {

/// Steps to the next row. The first step may look for the kernel and take long.
Result<bool, sql::QueryError> first_step(sql::Query& query, const Console& console) {
  const Progress progress(console, "reading the image");
  return query.step();
}

/// One statement: its error if it failed. Errors of the result: the output could not be written.
Result<std::optional<sql::QueryError>> run_query(sql::Query& query, output::Writer& writer,
                                                 const Console& console) {
  auto more = first_step(query, console);
  const auto columns = query.columns();
  if (columns.empty()) return more ? std::nullopt : std::optional(more.error());
  // Nothing is written for a query that fails before it has a row.
  if (!more) return more.error();
  ENGRAM_CHECK(writer.begin(columns));
  std::vector<tables::Value> values(columns.size());
  while (more && *more) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = query.value(i);
    ENGRAM_CHECK(writer.row(values));
    more = query.step();
  }
  if (more) {
    ENGRAM_CHECK(writer.end());
    return std::nullopt;
  }
  ENGRAM_CHECK(writer.cut());
  return more.error();
}

RunFailure query_failure(const sql::QueryError& error, std::string_view sql,
                         Interrupts& interrupts) {
  if (interrupts.take()) return {kInterrupted, "interrupted", false};
  return {kNotAnswered, describe(error, sql), false};
}

}  // namespace

std::string describe(const sql::QueryError& error, std::string_view sql) {
  if (!error.offset || *error.offset > sql.size()) return error.text;
  const std::string_view before = sql.substr(0, *error.offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto column = output::display_width(before.substr(line_begin)) + 1;
  return fmt::format("line {}, column {}: {}", line, column, error.text);
}

int report(const RunFailure& failure, const std::string& image, const Console& console) {
  if (!failure.text.empty()) {
    console.error(failure.of_output ? failure.text : about(image, failure.text));
  }
  return failure.exit_code;
}

RunFailure output_failure(const output::FileSink& sink, const Error& error) {
  if (sink.broken_pipe()) return {kReaderGone, {}, true};
  return {kNotAnswered, error.text, true};
}

Result<void, RunFailure> run_sql(sql::Database& database, std::string_view sql, Results results,
                                 const Console& console, Interrupts& interrupts) {
  const Watch watch(interrupts, database);
  std::size_t at = 0;
  while (true) {
    if (interrupts.take()) return tl::unexpected(RunFailure{kInterrupted, "interrupted", false});
    auto query = database.prepare_next(sql, at);
    if (!query) return tl::unexpected(query_failure(query.error(), sql, interrupts));
    if (!*query) return {};
    const auto outcome = run_query(**query, results.writer, console);
    if (!outcome) return tl::unexpected(output_failure(results.sink, outcome.error()));
    if (*outcome) return tl::unexpected(query_failure(**outcome, sql, interrupts));
  }
}

}  // namespace engram::cli
