// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// SQL from two threads: one Session, whose kernel is found once, and a Database for each thread.
//
// queries IMAGE: prints the number of rows of both questions. What may be shared: docs/threads.md.

#include <array>
#include <cstdio>
#include <future>
#include <memory>
#include <string>

#include "sql/database.h"

namespace {

using engram::Result;
using engram::kernel::Session;
using engram::sql::Database;
using engram::sql::RowBudget;

/// A thread's work: a Database, its queries and their rows belong to the thread that made them.
Result<std::size_t> count(Session& session, const std::shared_ptr<RowBudget>& kept_rows,
                          const std::string& sql) {
  engram::sql::DatabaseOptions options;
  options.kept_rows = kept_rows;
  ENGRAM_TRY(const auto database, Database::create(session, engram::tables::all_tables(), options));
  auto query = database->prepare(sql);
  if (!query) return engram::fail("{}", query.error().text);
  std::size_t rows = 0;
  while (true) {
    const auto more = query->step();
    if (!more) return engram::fail("{}", more.error().text);
    if (!*more) return rows;
    ++rows;
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  auto image = engram::image::Image::open(argument_count > 1 ? arguments[1] : "");
  if (!image) {
    std::fprintf(stderr, "%s\n", image.error().text.c_str());
    return 1;
  }
  Session session(std::move(*image));
  // What both threads keep for their joins, together.
  const auto kept_rows = std::make_shared<RowBudget>(RowBudget::kDefault);
  const std::array<std::string, 2> questions{
      "SELECT * FROM tasks",
      "SELECT t.pid, m.name FROM tasks t, memory_mappings m WHERE m.task = t.virtual_address"};
  std::array<std::future<Result<std::size_t>>, 2> answers;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    answers[i] =
        std::async(std::launch::async, [&, i] { return count(session, kept_rows, questions[i]); });
  }
  bool all_answered = true;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto rows = answers[i].get();
    all_answered = all_answered && rows && *rows > 0;
    std::printf("%s: %s\n", questions[i].c_str(),
                rows ? std::to_string(*rows).c_str() : rows.error().text.c_str());
  }
  return all_answered ? 0 : 1;
}
