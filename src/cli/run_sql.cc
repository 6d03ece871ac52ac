// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/run_sql.h"

#include <algorithm>
#include <new>

#include "cli/command.h"
#include "cli/memory_limit.h"
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
  if (interrupts.take()) return {kInterrupted, "interrupted"};
  return {kNotAnswered, describe(error, sql), false, place_of(error, sql)};
}

/// Where the character that contains byte `at` of the text begins.
std::size_t character_begin(std::string_view text, std::size_t at) {
  constexpr unsigned kContinuationMask = 0xc0;  // RFC 3629: 10xxxxxx
  constexpr unsigned kContinuation = 0x80;
  while (at > 0 && at < text.size() &&
         (static_cast<unsigned char>(text[at]) & kContinuationMask) == kContinuation) {
    --at;
  }
  return at;
}

Result<std::size_t, RunFailure> run_statements(sql::Database& database, std::string_view sql,
                                               Results results, const Console& console,
                                               Interrupts& interrupts) {
  std::size_t at = 0;
  for (std::size_t count = 0;; ++count) {
    if (interrupts.take()) return tl::unexpected(RunFailure{kInterrupted, "interrupted"});
    auto query = database.prepare_next(sql, at);
    if (!query) return tl::unexpected(query_failure(query.error(), sql, interrupts));
    if (!*query) return count;
    const auto outcome = run_query(**query, results.writer, console);
    if (!outcome) return tl::unexpected(output_failure(results.sink, outcome.error()));
    if (*outcome) return tl::unexpected(query_failure(**outcome, sql, interrupts));
  }
}

}  // namespace

std::string describe(const sql::QueryError& error, std::string_view sql) {
  if (error.out_of_memory) return kMemoryIsOver;
  if (!error.offset || *error.offset > sql.size()) return error.text;
  const std::string_view before = sql.substr(0, *error.offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto column = output::display_width(before.substr(line_begin)) + 1;
  return fmt::format("line {}, column {}: {}", line, column, error.text);
}

std::string place_of(const sql::QueryError& error, std::string_view sql) {
  if (!error.offset || *error.offset > sql.size()) return {};
  constexpr std::size_t kBefore = 50;  // bytes of the line that are shown on either side
  constexpr std::size_t kBehind = 25;
  const std::size_t line_begin = sql.substr(0, *error.offset).rfind('\n') + 1;  // npos + 1 is 0
  const std::string_view line = sql.substr(line_begin, sql.find('\n', line_begin) - line_begin);
  const std::size_t at = *error.offset - line_begin;
  const std::size_t begin = character_begin(line, at > kBefore ? at - kBefore : 0);
  const std::size_t end = character_begin(line, std::min(line.size(), at + kBehind));
  const std::string before =
      (begin > 0 ? "… " : "") + output::terminal_text(line.substr(begin, at - begin));
  const std::string behind =
      output::terminal_text(line.substr(at, end - at)) + (end < line.size() ? " …" : "");
  return fmt::format("  {}{}\n  {:>{}}\n", before, behind, '^', output::display_width(before) + 1);
}

int report(const RunFailure& failure, const std::string& image, const Console& console) {
  if (!failure.text.empty()) {
    console.error(failure.of_output ? failure.text : about(image, failure.text));
    console.say(failure.place);
  }
  return failure.exit_code;
}

RunFailure output_failure(const output::Sink& sink, const Error& error) {
  if (sink.broken_pipe()) return {kReaderGone, {}, true};
  return {kNotAnswered, error.text, true};
}

Result<std::size_t, RunFailure> run_sql(sql::Database& database, std::string_view sql,
                                        Results results, const Console& console,
                                        Interrupts& interrupts) {
  const Watch watch(interrupts, database);
  try {
    return run_statements(database, sql, results, console, interrupts);
  } catch (const std::bad_alloc&) {
    return tl::unexpected(RunFailure{kNotAnswered, kMemoryIsOver});
  }
}

}  // namespace engram::cli
