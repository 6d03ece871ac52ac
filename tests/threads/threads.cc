// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// One Session, several threads, a Database for each: every answer must be the one that a single
// thread gets. ThreadSanitizer looks on in the preset tsan.
//
// threads IMAGE [THREADS]: exit code 0 if all agree.

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kernel/session.h"
#include "sql/database.h"
#include "sql/row_cache.h"
#include "sql/session_lookups.h"
#include "tables/table.h"

namespace {

using engram::Result;
using engram::kernel::Session;
using engram::sql::Database;
using engram::sql::RowBudget;

Result<std::unique_ptr<Session>> open_session(const std::string& path) {
  ENGRAM_TRY(auto image, engram::image::Image::open(path));
  return std::make_unique<Session>(std::move(image));
}

/// Rows and a hash of all their cells in order, or the error.
std::string answer(Database& database, const std::string& sql) {
  auto query = database.prepare(sql);
  if (!query) return query.error().text;
  std::uint64_t rows = 0;
  std::uint64_t all = 0;
  for (;; ++rows) {
    const auto more = query->step();
    if (!more) return more.error().text;
    if (!*more) break;
    for (std::size_t column = 0; column < query->columns().size(); ++column) {
      constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
      all = (all ^ engram::sql::hash(query->value(column))) * kOdd;
      all ^= all >> 29U;
    }
  }
  return fmt::format("{} rows, {:016x}", rows, all);
}

/// The tables and views in full, joins whose rows are kept, and the functions.
std::vector<std::string> questions() {
  std::vector<std::string> all;
  const auto database = Database::create_without_image(engram::tables::all_tables());
  if (!database) return all;
  for (const auto& relation : (*database)->relations()) {
    // What was met, and when: of both a thread sees what the others have done.
    if (relation.name.find("diagnostics") != std::string::npos) continue;
    all.push_back("SELECT * FROM " + relation.name);
  }
  all.insert(all.end(),
             {"SELECT t.pid, f.fd, c.local_port FROM tasks t JOIN task_open_files f JOIN "
              "network_connections c WHERE f.task = t.virtual_address AND c.inode = f.inode",
              "SELECT count(*) FROM kallsyms a JOIN kallsyms b USING (symbol_name)",
              "SELECT symbol(virtual_address), address_of(symbol_name) FROM kallsyms WHERE "
              "symbol_name LIKE 'init_%'",
              "SELECT length(file_contents(virtual_address)) FROM files WHERE complete"});
  return all;
}

Result<std::unique_ptr<Database>> open_database(Session& session,
                                                const std::shared_ptr<RowBudget>& kept_rows) {
  engram::sql::DatabaseOptions options;
  options.lookups = engram::sql::session_lookups(session);
  options.kept_rows = kept_rows;
  return Database::create(session, engram::tables::all_tables(), std::move(options));
}

/// One thread's part: all questions, beginning with one of its own. Returns the wrong answers.
std::size_t ask(Session& session, const std::shared_ptr<RowBudget>& kept_rows,
                const std::vector<std::string>& sql, const std::vector<std::string>& expected,
                std::size_t first) {
  auto database = open_database(session, kept_rows);
  if (!database) {
    fmt::print(stderr, "{}\n", database.error().text);
    return 1;
  }
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const std::size_t at = (first + i) % sql.size();
    const std::string got = answer(**database, sql[at]);
    if (got == expected[at]) continue;
    fmt::print(stderr, "{}\n  alone:   {}\n  threads: {}\n", sql[at], expected[at], got);
    ++wrong;
  }
  return wrong;
}

int run(const std::string& path, std::size_t thread_count) {
  const auto kept_rows = std::make_shared<RowBudget>();
  const auto sql = questions();
  auto alone = open_session(path);
  auto shared = open_session(path);
  if (!alone || !shared) {
    fmt::print(stderr, "{}\n", (alone ? shared : alone).error().text);
    return 1;
  }
  auto database = open_database(**alone, kept_rows);
  if (!database) {
    fmt::print(stderr, "{}\n", database.error().text);
    return 1;
  }
  std::vector<std::string> expected;
  std::size_t answered = 0;
  for (const auto& question : sql) {
    expected.push_back(answer(**database, question));
    answered += expected.back().find(" rows, ") != std::string::npos ? 1U : 0U;
  }
  std::atomic<std::size_t> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < thread_count; ++i) {
    // Half of them begin together: they find the kernel at once.
    const std::size_t first = i < thread_count / 2 ? 0 : i * sql.size() / thread_count;
    threads.emplace_back([&, first] { wrong += ask(**shared, kept_rows, sql, expected, first); });
  }
  for (auto& thread : threads) thread.join();
  fmt::print("{} threads, {} questions, {} with rows, {} wrong\n", thread_count, sql.size(),
             answered, wrong.load());
  constexpr std::size_t kFewest = 30;  // of a Linux machine: else the comparison says nothing
  return wrong == 0 && answered >= kFewest && kept_rows->taken() == 0 ? 0 : 1;
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count < 2) return 2;
  constexpr std::size_t kThreads = 6;
  const std::size_t threads =
      argument_count > 2 ? std::strtoul(arguments[2], nullptr, 10) : kThreads;
  return run(arguments[1], threads);
}
