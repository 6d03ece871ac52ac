// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/database.h"

#include <gmock/gmock.h>

#include <array>
#include <thread>

#include "sql/test_database.h"

namespace engram::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(DatabaseTest, TextInDoubleQuotesIsTextIfItCannotBeAName) {
  EXPECT_THAT(rows("SELECT pid FROM tasks WHERE comm LIKE \"%hd%\" OR comm = \"a.b\"; SELECT 7"),
              ElementsAre("3", "3", "7"));
  EXPECT_THAT(rows("SELECT \"it's %\" FROM tasks"), ElementsAre(HasSubstr("single quotes")));
  EXPECT_THAT(rows("SELECT \"%a\"\"\" FROM tasks"), ElementsAre(HasSubstr("no such column")));
}

TEST_F(DatabaseTest, SelectStarIsInDeclaredOrderWithoutHiddenColumns) {
  auto query = database_->prepare("SELECT * FROM tasks");
  ASSERT_TRUE(query);
  std::vector<std::string> names;
  for (const auto& column : query->columns()) names.push_back(column.name);
  EXPECT_THAT(names, ElementsAre("virtual_address", "pid", "comm", "load"));
  EXPECT_THAT(rows("SELECT secret FROM tasks WHERE secret = 's2'"), ElementsAre("s2"));
}

TEST_F(DatabaseTest, DeclaredTypesComeThroughViewsAndSubqueries) {
  auto query = database_->prepare(
      "WITH x AS (SELECT task FROM named) SELECT task, task + 0, (SELECT 1), comm FROM named "
      "JOIN (SELECT * FROM x) USING (task)");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->columns()[0].type, Type::pointer);
  EXPECT_EQ(query->columns()[1].type, std::nullopt);
  EXPECT_EQ(query->columns()[2].type, std::nullopt);
  EXPECT_EQ(query->columns()[3].type, Type::text);
}

TEST_F(DatabaseTest, PointersCompareWithHexLiterals) {
  EXPECT_THAT(rows("SELECT pid FROM tasks WHERE virtual_address = 0xffff888000000040"),
              ElementsAre("2"));
  EXPECT_THAT(rows("SELECT typeof(virtual_address), pid FROM tasks WHERE virtual_address = "
                   "'-131391639519168.0'"),
              ElementsAre("integer|2"))
      << "a POINTER column must have integer affinity: text is compared as the number it holds";
}

TEST_F(DatabaseTest, RowNumbersTellRowsApartAndAreNotCompared) {
  EXPECT_THAT(rows("SELECT count(DISTINCT rowid) FROM plain"), ElementsAre("4"));
  for (const char* sql :
       {"SELECT count(*) FROM plain p WHERE p.rowid IN (SELECT rowid FROM plain)",
        "SELECT a.fd FROM files a, files b WHERE a.rowid = b.rowid AND b.path = 'orphan'",
        "SELECT fd FROM files WHERE rowid < 5"}) {
    EXPECT_THAT(rows(sql), ElementsAre(testing::HasSubstr("a row has no number to compare")))
        << sql;
  }
}

TEST_F(DatabaseTest, AddressesInQuotesAreRefusedWhereverTheyAreCompared) {
  for (const char* sql :
       {"SELECT pid FROM tasks WHERE virtual_address = '0xffff888000000040'",
        "SELECT pid FROM tasks WHERE virtual_address = '18446612682070032448'",
        "SELECT pid FROM tasks WHERE virtual_address = 18446612682070032448",
        "SELECT pid FROM tasks WHERE virtual_address <> '0xffff888000000040'",
        "SELECT pid FROM tasks WHERE virtual_address > '0xffff888000000040'",
        "SELECT pid FROM tasks WHERE virtual_address IS '0xffff888000000040'",
        "SELECT pid FROM tasks WHERE virtual_address IN (1, '0xffff888000000040')",
        "SELECT fd FROM files WHERE path = 'orphan' AND task = '0xffff888000000040'",
        "SELECT fd FROM files WHERE task BETWEEN '0x1' AND 5",
        "SELECT fd FROM files WHERE task IN ('0x1')"}) {
    EXPECT_THAT(rows(sql), ElementsAre(testing::HasSubstr("in hexadecimal"))) << sql;
  }
  EXPECT_THAT(rows("SELECT pid FROM tasks WHERE virtual_address IN (0xffff888000000040, '17')"),
              ElementsAre("2"));
  EXPECT_THAT(rows("SELECT pid FROM tasks WHERE virtual_address >= 0xffff888000000080 AND pid = 3"),
              ElementsAre("3", "3"));
}

TEST_F(DatabaseTest, AnAddressInQuotesIsRefusedBesideABetterLookUp) {
  FakeTable others("others", {{"leader", Type::pointer, ""}, {"pid", Type::integer, ""}},
                   {{kBase, std::int64_t{1}}});
  const std::array<const tables::Table*, 2> all{&others, &plain_};
  use(all);
  EXPECT_THAT(rows("SELECT o.pid FROM plain p CROSS JOIN others o WHERE o.leader = '0x40' AND "
                   "o.pid = p.pid"),
              ElementsAre(testing::HasSubstr("in hexadecimal")));
}

TEST_F(DatabaseTest, NoRelationTakesTheNameOfATable) {
  for (const char* sql :
       {"CREATE VIEW tasks AS SELECT 1 AS pid", "CREATE TABLE Tasks(pid)",
        "CREATE TEMP VIEW files AS SELECT 1 AS fd", "CREATE TEMP TABLE plain(x)"}) {
    EXPECT_THAT(rows(sql), ElementsAre(testing::HasSubstr("is a table of engram's"))) << sql;
  }
  EXPECT_THAT(rows("CREATE TEMP VIEW mine AS SELECT 1 AS pid; SELECT pid FROM mine"),
              ElementsAre("1"));
}

TEST_F(DatabaseTest, ErrorsOfTablesComeUnchanged) {
  tasks_.open_error = "tasks: init_task at 0x10: not mapped";
  EXPECT_THAT(rows("SELECT pid FROM tasks"),
              ElementsAre("error: tasks: init_task at 0x10: not mapped"));
  tasks_.open_error.clear();
  tasks_.next_error = "tasks: the 100% list, it's a loop";
  tasks_.fail_after = 2;
  EXPECT_THAT(rows("SELECT count(*) FROM tasks"),
              ElementsAre("error: tasks: the 100% list, it's a loop"));
  EXPECT_THAT(rows("SELECT count(*) FROM plain, tasks"),
              ElementsAre("error: tasks: the 100% list, it's a loop"));
}

TEST_F(DatabaseTest, ErrorsSayWhereAndWhatMayBeMeant) {
  const auto table = database_->prepare("SELECT pid FROM taks");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().text, "no such table: taks; did you mean tasks?");
  EXPECT_EQ(table.error().offset, 16U);
  EXPECT_EQ(database_->prepare("SELECT 'taks' FROM taks").error().offset, std::nullopt)
      << "one of two places is not known to be it";

  std::size_t at = 0;
  const std::string_view two = "SELECT 1; SELECT pit FROM tasks";
  ASSERT_TRUE(database_->prepare_next(two, at));
  const auto column = database_->prepare_next(two, at);
  ASSERT_FALSE(column);
  EXPECT_EQ(column.error().text, "no such column: pit; did you mean pid?");
  EXPECT_EQ(column.error().offset, two.find("pit"));

  EXPECT_EQ(database_->prepare("SELECT com FROM named").error().text,
            "no such column: com; did you mean comm?");
  EXPECT_EQ(database_->prepare("SELECT comm FROM plain").error().text,
            "no such column: comm; text goes in single quotes")
      << "a column of another table is not meant";

  const auto quotes = database_->prepare("SELECT pid FROM tasks WHERE comm = \"bash\"");
  ASSERT_FALSE(quotes) << "what may be the name of a column is not text";
  EXPECT_THAT(quotes.error().text, HasSubstr("single quotes"));
  EXPECT_FALSE(database_->prepare("  -- nothing\n"));
  EXPECT_FALSE(database_->prepare(std::string_view("SELECT 1\0 FROM x", 16)));
}

TEST_F(DatabaseTest, SeveralStatementsRunInOrder) {
  EXPECT_THAT(rows("CREATE TEMP VIEW three AS SELECT comm FROM tasks WHERE pid = 3;\n"
                   "-- a comment\n;; SELECT comm FROM three LIMIT 1; SELECT 'end' -- no semicolon"),
              ElementsAre("sshd", "end"));
}

TEST_F(DatabaseTest, TemporaryTablesWorkAndTheTablesAreReadOnly) {
  EXPECT_THAT(
      rows("CREATE TEMP TABLE kept AS SELECT pid FROM tasks; DELETE FROM kept WHERE pid = 3;"
           "SELECT count(*) FROM kept"),
      ElementsAre("2"));
  EXPECT_THAT(rows("DELETE FROM tasks"),
              ElementsAre(HasSubstr("error: table tasks may not be modified")));
}

TEST_F(DatabaseTest, WhatWouldTouchTheHostIsRefused) {
  const auto path = std::filesystem::temp_directory_path() / "engram-must-not-exist.db";
  std::filesystem::remove(path);
  const std::vector<std::string> refused{
      "ATTACH '" + path.string() + "' AS other",
      "VACUUM INTO '" + path.string() + "'",
      "SELECT load_extension('" + path.string() + "')",
      "PRAGMA temp_store_directory = '/tmp'",
      "PRAGMA journal_mode = WAL",
      "PRAGMA writable_schema = 1",
  };
  for (const auto& sql : refused) {
    EXPECT_THAT(rows(sql), ElementsAre(HasSubstr("error: "))) << sql;
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(rows("SELECT name FROM pragma_table_info('named')"),
              ElementsAre("pid", "comm", "task"));
}

TEST_F(DatabaseTest, InterruptStopsARunningStatement) {
  // Endless as seen from here: interrupted from inside, as a signal handler would do.
  tasks_.at_each_row = [this] {
    if (tasks_.log.rows == 3) database_->interrupt();
  };
  EXPECT_THAT(rows("SELECT pid FROM tasks"), ElementsAre("error: interrupted"));
  tasks_.at_each_row = nullptr;
  EXPECT_EQ(rows("SELECT pid FROM tasks").size(), 4U) << "the next statement runs again";

  plain_.at_each_row = [this] {
    if (plain_.log.rows == 6) database_->interrupt();
  };
  EXPECT_THAT(rows("SELECT count(*) FROM tasks, plain WHERE note > comm"),
              ElementsAre("error: interrupted"))
      << "also while rows are kept for a join";
}

TEST_F(DatabaseTest, InterruptWorksFromAnotherThread) {
  std::atomic<bool> running = false;
  tasks_.at_each_row = [&running] { running = true; };
  std::thread other([this, &running] {
    while (!running) std::this_thread::yield();
    database_->interrupt();
  });
  EXPECT_THAT(rows("WITH RECURSIVE n(i) AS (SELECT pid FROM tasks UNION ALL SELECT i + 1 FROM n) "
                   "SELECT max(i) FROM n"),
              ElementsAre("error: interrupted"));
  other.join();
}

TEST_F(DatabaseTest, RelationsDescribeTablesViewsAndWhatTheUserMade) {
  rows("CREATE TEMP VIEW mine AS SELECT pid FROM tasks");
  const auto relations = database_->relations();
  std::vector<std::string> names;
  for (const auto& relation : relations) names.push_back(relation.name);
  EXPECT_THAT(names, ElementsAre("tasks", "files", "plain", "named", "mine"))
      << "views over tables that are not here are left out";
  EXPECT_EQ(relations[0].columns[0].type, "POINTER");
  EXPECT_TRUE(relations[0].columns[0].key);
  EXPECT_TRUE(relations[0].columns[3].hidden);
  const Relation& named = relations[3];
  EXPECT_EQ(named.kind, Relation::Kind::view);
  EXPECT_EQ(named.doc, "Tasks by name.");
  ASSERT_EQ(named.columns.size(), 3U);
  EXPECT_EQ(named.columns[1].doc, "the name, with no end");
  EXPECT_EQ(named.columns[2].type, "POINTER");
  EXPECT_EQ(relations[4].kind, Relation::Kind::user);
}

TEST_F(DatabaseTest, SchemaTextIsValidSql) {
  for (const auto& relation : database_->relations()) {
    const std::string text = schema_text(relation);
    if (relation.kind == Relation::Kind::table) {
      EXPECT_THAT(text, HasSubstr(relation.columns[0].doc));
      EXPECT_THAT(rows("CREATE TEMP TABLE again" + text.substr(text.find(" (")) +
                       "SELECT count(*) FROM pragma_table_info('again'); DROP TABLE temp.again"),
                  ElementsAre(std::to_string(relation.columns.size())))
          << text;
    }
  }
}

TEST_F(DatabaseTest, AWrongViewIsAnErrorAndSoIsATableTwice) {
  const std::array<const tables::Table*, 1> one{&tasks_};
  const std::array<ViewSource, 1> wrong{
      {{"wrong", "CREATE VIEW wrong AS SELECT missing FROM tasks"}}};
  const auto view = Database::create(*session_, one, {{}, wrong});
  ASSERT_FALSE(view);
  EXPECT_THAT(view.error().text, HasSubstr("view wrong: no such column: missing"));
  const std::array<const tables::Table*, 2> twice{&tasks_, &tasks_};
  EXPECT_FALSE(Database::create(*session_, twice, {{}, {}}));
}

TEST_F(DatabaseTest, WithoutAnImageThereIsASchemaButNoRows) {
  const std::array<const tables::Table*, 1> one{&tasks_};
  auto database = Database::create_without_image(one, {{}, {}});
  ASSERT_TRUE(database);
  EXPECT_EQ((*database)->relations().size(), 1U);
  database_ = std::move(*database);
  EXPECT_THAT(rows("SELECT pid FROM tasks"), ElementsAre(HasSubstr("there is no image")));
}

TEST(StatementText, CompleteStatementsEndWithASemicolon) {
  EXPECT_TRUE(is_complete_statement("SELECT 1;"));
  EXPECT_FALSE(is_complete_statement("SELECT 1"));
  EXPECT_FALSE(is_complete_statement("SELECT ';"));
  EXPECT_THAT(keywords(), testing::Contains("SELECT"));
}

}  // namespace
}  // namespace engram::sql
