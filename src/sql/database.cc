// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/database.h"

#include <sqlite3.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include "sql/database_state.h"
#include "sql/virtual_table.h"

namespace engram::sql {
namespace {

Result<void> execute(sqlite3* connection, const std::string& sql) {
  if (sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return fail("{}", sqlite3_errmsg(connection));
}

/// Whether SQLite finds a folder for temporary files where it looks for one
/// (https://www.sqlite.org/tempfiles.html, section 5).
bool has_temporary_folder() {
  const std::array<const char*, 5> folders{std::getenv("SQLITE_TMPDIR"), std::getenv("TMPDIR"),
                                           "/var/tmp", "/usr/tmp", "/tmp"};
  return std::any_of(folders.begin(), folders.end(), [](const char* folder) {
    return folder != nullptr && ::access(folder, W_OK | X_OK) == 0;
  });
}

/// `sort_memory`: before temporary files are used; nothing if they are not.
Result<void> configure(sqlite3* connection, std::optional<std::uint64_t> sort_memory) {
  // A name in double quotes that is no column is an error, not text: a misspelt column must not
  // turn into a comparison that is never true.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  if (!sort_memory) return execute(connection, "PRAGMA temp_store = MEMORY");
  // SQLite removes the name of a temporary file before it writes to it: what comes out of an image
  // is not left behind in the host's folder. A sorter takes what the cache of the database may.
  ENGRAM_CHECK(execute(connection, "PRAGMA temp_store = FILE"));
  return execute(connection, fmt::format("PRAGMA cache_size = -{}", *sort_memory / kKiB));
}

Result<void> add_tables(DatabaseState& state, kernel::Session* session,
                        std::span<const tables::Table* const> tables,
                        const std::shared_ptr<RowBudget>& kept_rows, Beyond beyond) {
  for (const auto* table : tables) {
    const auto is_same = [&](const auto& other) { return other->table->name() == table->name(); };
    if (std::any_of(state.bindings.begin(), state.bindings.end(), is_same)) {
      return fail("sql: two tables are named {}", table->name());
    }
    state.bindings.push_back(std::make_unique<Binding>(
        Binding{table, table->columns(), session, &state.interrupted, kept_rows, beyond, {}}));
    ENGRAM_CHECK(register_table(state.connection.get(), *state.bindings.back()));
  }
  return {};
}

/// Empty if the view can be used; else why not.
std::string problem_of(sqlite3* connection, std::string_view view) {
  const auto probe = execute(connection, fmt::format("EXPLAIN SELECT * FROM {}", quoted(view)));
  return probe ? std::string() : probe.error().text;
}

Result<void> add_views(DatabaseState& state) {
  sqlite3* connection = state.connection.get();
  std::vector<std::string_view> names;
  for (const auto& view : state.views) {
    const auto created = execute(connection, std::string(view.sql));
    if (!created) return fail("sql: view {}: {}", view.name, created.error().text);
    names.push_back(view.name);
  }
  // A view may stand on one that has just been dropped: look again until all that are left are
  // good.
  for (bool dropped = true; dropped;) {
    dropped = false;
    for (auto name = names.begin(); name != names.end();) {
      const std::string problem = problem_of(connection, *name);
      if (problem.empty()) {
        ++name;
        continue;
      }
      if (!problem.starts_with("no such table")) return fail("sql: view {}: {}", *name, problem);
      ENGRAM_CHECK(execute(connection, "DROP VIEW " + quoted(*name)));
      name = names.erase(name);
      dropped = true;
    }
  }
  return {};
}

/// Puts the text in double quotes at `offset` into single ones, if it cannot be the name of a
/// column:
/// "%ssh%", as queries written for mquire have it. Names stay an error: they may be misspelt.
bool requote(std::string& sql, std::size_t offset) {
  if (offset >= sql.size() || sql[offset] != '"') return false;
  const std::size_t end = sql.find('"', offset + 1);
  if (end == std::string::npos) return false;
  if (end + 1 < sql.size() && sql[end + 1] == '"') return false;
  const std::string_view text = std::string_view(sql).substr(offset + 1, end - offset - 1);
  const bool is_name = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ' ';
  });
  if (is_name || text.find('\'') != std::string_view::npos) return false;
  sql[offset] = sql[end] = '\'';
  return true;
}

}  // namespace

void DatabaseState::Closer::operator()(sqlite3* opened) const {
  sqlite3_close_v2(opened);
}

Database::Database(std::unique_ptr<DatabaseState> state) : state_(std::move(state)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::create(kernel::Session& session,
                                                   std::span<const tables::Table* const> tables,
                                                   DatabaseOptions options) {
  return create(&session, tables, std::move(options));
}

Result<std::unique_ptr<Database>> Database::create_without_image(
    std::span<const tables::Table* const> tables, DatabaseOptions options) {
  return create(nullptr, tables, std::move(options));
}

Result<std::unique_ptr<Database>> Database::create(kernel::Session* session,
                                                   std::span<const tables::Table* const> tables,
                                                   DatabaseOptions options) {
  auto state = std::make_unique<DatabaseState>();
  state->session = session;
  state->views = options.views;
  state->functions.lookups = std::move(options.lookups);
  state->functions.diagnostics = session == nullptr ? nullptr : &session->diagnostics();
  sqlite3* connection = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;
  const int opened = sqlite3_open_v2(":memory:", &connection, kFlags, nullptr);
  state->connection.reset(connection);
  if (opened != SQLITE_OK) return fail("sql: cannot start SQLite: {}", sqlite3_errstr(opened));

  if (!has_temporary_folder()) options.sort_memory.reset();
  ENGRAM_CHECK(configure(connection, options.sort_memory));
  ENGRAM_CHECK(register_functions(connection, state->functions));
  auto kept_rows = options.kept_rows ? options.kept_rows : std::make_shared<RowBudget>();
  const Beyond beyond = options.sort_memory ? Beyond::file : Beyond::walk_again;
  ENGRAM_CHECK(add_tables(*state, session, tables, kept_rows, beyond));
  ENGRAM_CHECK(add_views(*state));
  install_authorizer(*state);
  return std::unique_ptr<Database>(new Database(std::move(state)));
}

Result<Query, QueryError> Database::prepare(std::string_view sql) {
  std::size_t at = 0;
  ENGRAM_TRY(auto query, prepare_next(sql, at));
  if (!query) return tl::unexpected(QueryError{{"there is no SQL statement"}, std::nullopt});
  return std::move(*query);
}

Result<std::optional<Query>, QueryError> Database::prepare_next(std::string_view sql,
                                                                std::size_t& at) {
  constexpr std::size_t kLongest = 1'000'000'000;  // SQLite's own limit of a statement is lower
  if (sql.size() > kLongest) {
    return tl::unexpected(QueryError{{"the SQL text is too long"}, std::nullopt});
  }
  if (const auto nul = sql.find('\0', std::min(at, sql.size())); nul != std::string_view::npos) {
    return tl::unexpected(QueryError{{"the SQL text contains a NUL byte"}, nul});
  }
  std::string requoted;  // as long as sql, so that places stay what they are
  while (at < sql.size()) {
    const char* begin = sql.data() + at;
    const char* tail = begin;
    sqlite3_stmt* prepared = nullptr;
    const int result = sqlite3_prepare_v3(state_->connection.get(), begin,
                                          static_cast<int>(sql.size() - at), 0, &prepared, &tail);
    Query::Statement statement(prepared, Query::Finalizer{state_.get()});
    if (result != SQLITE_OK) {
      QueryError error = prepare_error(*state_, sql, at);
      if (requoted.empty()) requoted = sql;
      if (!error.offset || !requote(requoted, *error.offset)) {
        return tl::unexpected(std::move(error));
      }
      sql = requoted;
      continue;
    }
    at += static_cast<std::size_t>(tail - begin);
    if (statement) return std::optional(Query(std::move(statement)));
    if (tail == begin) break;
  }
  return std::optional<Query>();
}

kernel::Session* Database::session() {
  return state_->session;
}

void Database::interrupt() noexcept {
  state_->interrupted.store(true);
  sqlite3_interrupt(state_->connection.get());
}

void limit_sqlite_memory(std::uint64_t bytes) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62U;
  const auto limit = static_cast<sqlite3_int64>(std::min(bytes, kMost));
  // Close to the soft limit a sort goes on in its file, if it has one.
  sqlite3_soft_heap_limit64(limit / 2);
  sqlite3_hard_heap_limit64(limit);
}

bool is_complete_statement(const std::string& text) {
  return sqlite3_complete(text.c_str()) != 0;
}

std::vector<std::string> keywords() {
  std::vector<std::string> words;
  for (int i = 0; i < sqlite3_keyword_count(); ++i) {
    const char* word = nullptr;
    int length = 0;
    if (sqlite3_keyword_name(i, &word, &length) == SQLITE_OK) {
      words.emplace_back(word, static_cast<std::size_t>(length));
    }
  }
  return words;
}

}  // namespace engram::sql
