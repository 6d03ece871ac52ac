// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "sql/fakes_test.h"

namespace engram::sql {
namespace {

using tables::Null;
using tables::Type;
using tables::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr std::int64_t kBase = static_cast<std::int64_t>(0xffff888000000000);

std::string show(const Value& value) {
  struct Show {
    std::string operator()(Null) const { return "NULL"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const tables::Blob& v) const {
      return fmt::format("{} bytes", v.size());
    }
  };
  return std::visit(Show{}, value);
}

/// tasks (key virtual_address), files (key task), and plain (no key).
class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() : session_(make_session()) {
    const std::array<const tables::Table*, 3> all{&tasks_, &files_, &plain_};
    auto made = Database::create(*session_, all, {{}, kViews});
    if (!made) throw std::runtime_error(made.error().text);
    database_ = std::move(*made);
  }

  /// The rows as texts, cells separated by '|', or the one text "error: ...".
  std::vector<std::string> rows(std::string_view sql) {
    std::vector<std::string> all;
    std::size_t at = 0;
    while (true) {
      auto query = database_->prepare_next(sql, at);
      if (!query) return {"error: " + query.error().text};
      if (!*query) return all;
      while (true) {
        const auto more = (*query)->step();
        if (!more) return {"error: " + more.error().text};
        if (!*more) break;
        std::string row;
        for (std::size_t i = 0; i < (*query)->columns().size(); ++i) {
          row += (i == 0 ? "" : "|") + show((*query)->value(i));
        }
        all.push_back(row);
      }
    }
  }

  static constexpr std::array<ViewSource, 3> kViews{{
      {"lonely", "-- What is not here.\nCREATE VIEW lonely AS SELECT * FROM sockets;\n"},
      {"lonelier", "CREATE VIEW lonelier AS SELECT * FROM lonely;"},
      {"named",
       "-- SPDX-License-Identifier: Apache-2.0\n-- Tasks\n-- by name.\n-- pid: the number\n"
       "-- comm: the name,\n--   with no end\n"
       "CREATE VIEW named AS SELECT pid, comm, virtual_address AS task FROM tasks;\n"},
  }};

  FakeTable tasks_{"tasks",
                   {{"virtual_address", Type::pointer, "Where it lies.", false, true},
                    {"pid", Type::integer, "Process number."},
                    {"comm", Type::text, "Name."},
                    {"secret", Type::text, "Not in SELECT *.", true},
                    {"load", Type::real, "Share of a CPU."}},
                   {{kBase, std::int64_t{1}, std::string("init"), std::string("s1"), 0.5},
                    {kBase + 64, std::int64_t{2}, std::string("kthreadd"), std::string("s2"), 2.0},
                    {kBase + 128, std::int64_t{3}, std::string("sshd"), std::string("s3"), Null{}},
                    {kBase + 192, std::int64_t{3}, std::string("sshd"), std::string("s4"), 1.0}},
                   100};
  FakeTable files_{"files",
                   {{"task", Type::pointer, "Owner.", false, true},
                    {"fd", Type::integer, "Descriptor."},
                    {"path", Type::text, "Path.", false, true}},
                   {{kBase, std::int64_t{0}, std::string("/dev/console")},
                    {kBase, std::int64_t{1}, std::string("/dev/console")},
                    {kBase + 128, std::int64_t{0}, std::string("/dev/null")},
                    {Null{}, std::int64_t{7}, std::string("orphan")}},
                   1000};
  FakeTable plain_{"plain",
                   {{"pid", Type::integer, "Process number."},
                    {"note", Type::text, "Note."},
                    {"bytes", Type::blob, "Bytes."}},
                   {{std::int64_t{1}, std::string("one"), tables::Blob{}},
                    {std::int64_t{3}, std::string("three"), tables::Blob(3)},
                    {std::int64_t{3}, std::string("three"), tables::Blob(3)},
                    {Null{}, std::string("none"), Null{}}},
                   100};
  std::unique_ptr<kernel::Session> session_;
  std::unique_ptr<Database> database_;
};

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

TEST_F(DatabaseTest, KeysArePassedToOpenAndTheirRowsChecked) {
  EXPECT_THAT(rows("SELECT fd FROM files WHERE task = 0xffff888000000000 AND fd = 1"),
              ElementsAre("1"));
  ASSERT_EQ(files_.log.opens.size(), 1U);
  ASSERT_EQ(files_.log.opens[0].size(), 1U);
  EXPECT_EQ(files_.log.opens[0][0].column, 0U);
  EXPECT_EQ(show(files_.log.opens[0][0].value), std::to_string(kBase));
  EXPECT_EQ(files_.log.rows, 2U) << "the table was to hand out only the rows of the key";
}

TEST_F(DatabaseTest, TwoKeysArePassedTogether) {
  EXPECT_THAT(rows("SELECT fd FROM files WHERE path = '/dev/console' AND task = 0xffff888000000000 "
                   "ORDER BY fd"),
              ElementsAre("0", "1"));
  ASSERT_EQ(files_.log.opens.size(), 1U);
  EXPECT_EQ(files_.log.opens[0].size(), 2U);
}

TEST_F(DatabaseTest, AKeyThatIsFixedTwiceIsPassedOnce) {
  EXPECT_THAT(rows("SELECT fd FROM files WHERE task = 0xffff888000000000 AND task = (SELECT 5)"),
              IsEmpty());
  ASSERT_EQ(files_.log.opens.size(), 1U);
  EXPECT_EQ(files_.log.opens[0].size(), 1U);
}

TEST_F(DatabaseTest, ANullKeyGivesNoRowsAndOpensNothing) {
  EXPECT_THAT(rows("SELECT * FROM files WHERE task = NULL"), IsEmpty());
  EXPECT_THAT(rows("SELECT * FROM files WHERE task = (SELECT NULL)"), IsEmpty());
  EXPECT_THAT(files_.log.opens, IsEmpty());
  EXPECT_THAT(rows("SELECT fd FROM files WHERE task IS NULL"), ElementsAre("7"));
}

TEST_F(DatabaseTest, AKeyOfATypeThatCannotBeEqualGivesNoRowsAndOpensNothing) {
  for (const char* value : {"1.5", "1e300", "'abc'", "x'00'", "'1.5'"}) {
    EXPECT_THAT(rows(std::string("SELECT * FROM files WHERE task = ") + value), IsEmpty()) << value;
  }
  EXPECT_THAT(rows("SELECT * FROM files WHERE path = x'00'"), IsEmpty());
  EXPECT_THAT(files_.log.opens, IsEmpty());
}

TEST_F(DatabaseTest, AnIntegralRealOrTextKeyIsTheInteger) {
  EXPECT_THAT(rows("SELECT fd FROM files WHERE task = -131391639519104.0"),  // kBase + 128 exactly
              ElementsAre("0"));
  EXPECT_THAT(rows("SELECT fd FROM files WHERE task = '-131391639519104'"), ElementsAre("0"));
  ASSERT_EQ(files_.log.opens.size(), 2U);
  EXPECT_EQ(show(files_.log.opens[0].at(0).value), std::to_string(kBase + 128));
  EXPECT_EQ(show(files_.log.opens[1].at(0).value), std::to_string(kBase + 128));
}

TEST_F(DatabaseTest, ANumberForATextKeyIsLeftToSqlite) {
  FakeTable numbers("numbers", {{"word", Type::text, "Word.", false, true}},
                    {{std::string("05")}, {std::string("5")}});
  const std::array<const tables::Table*, 2> all{&numbers, &plain_};
  auto database = Database::create(*session_, all, {{}, {}});
  ASSERT_TRUE(database);
  database_ = std::move(*database);
  EXPECT_THAT(rows("SELECT word FROM numbers WHERE word = 5"), ElementsAre("5"));
  EXPECT_THAT(rows("SELECT word FROM numbers WHERE word = (SELECT CAST(5 AS INTEGER))"),
              UnorderedElementsAre("05", "5"))
      << "an operand with numeric affinity makes the comparison numeric";
}

TEST_F(DatabaseTest, AnotherCollationIsNotPushedDown) {
  EXPECT_THAT(rows("SELECT fd FROM files WHERE path = '/DEV/NULL' COLLATE NOCASE"),
              ElementsAre("0"));
  ASSERT_EQ(files_.log.opens.size(), 1U);
  EXPECT_THAT(files_.log.opens[0], IsEmpty());
}

TEST_F(DatabaseTest, AColumnThatIgnoresCaseIsNotPushedDownUnlessBytesAreCompared) {
  FakeTable sockets("sockets", {{"protocol", Type::text, "Protocol.", false, true, true}},
                    {{std::string("tcp")}, {std::string("udp")}});
  const std::array<const tables::Table*, 2> all{&sockets, &plain_};
  auto database = Database::create(*session_, all, {{}, {}});
  ASSERT_TRUE(database);
  database_ = std::move(*database);
  EXPECT_THAT(rows("SELECT protocol FROM sockets WHERE protocol = 'TCP'"), ElementsAre("tcp"));
  EXPECT_THAT(rows("SELECT protocol FROM sockets WHERE protocol = 'TCP' COLLATE BINARY"),
              IsEmpty());
  ASSERT_EQ(sockets.log.opens.size(), 2U);
  EXPECT_THAT(sockets.log.opens[0], IsEmpty());
  EXPECT_EQ(sockets.log.opens[1].size(), 1U);
}

TEST_F(DatabaseTest, InOpensOncePerValue) {
  EXPECT_THAT(rows("SELECT fd FROM files WHERE task IN (0xffff888000000000, 0xffff888000000080, "
                   "0xffff888000000000, NULL)"),
              UnorderedElementsAre("0", "1", "0"));
  EXPECT_EQ(files_.log.opens.size(), 2U);
}

TEST_F(DatabaseTest, JoinsUseTheKeyInEitherOrder) {
  for (const char* from : {"tasks t JOIN files f ON f.task = t.virtual_address",
                           "files f JOIN tasks t ON f.task = t.virtual_address"}) {
    files_.log.opens.clear();
    EXPECT_THAT(rows(std::string("SELECT comm, fd FROM ") + from + " WHERE pid = 1"),
                UnorderedElementsAre("init|0", "init|1"));
    ASSERT_EQ(files_.log.opens.size(), 1U) << from;
    EXPECT_EQ(files_.log.opens[0].size(), 1U) << from;
  }
}

TEST_F(DatabaseTest, LeftJoinKeepsRowsWithoutAPartner) {
  EXPECT_THAT(
      rows("SELECT t.pid, f.fd FROM tasks t LEFT JOIN files f ON f.task = t.virtual_address "
           "ORDER BY t.virtual_address, fd"),
      ElementsAre("1|0", "1|1", "2|NULL", "3|0", "3|NULL"));
}

TEST_F(DatabaseTest, OnlyColumnsThatAreAskedForAreComputed) {
  EXPECT_THAT(rows("SELECT comm FROM tasks"), ElementsAre("init", "kthreadd", "sshd", "sshd"));
  EXPECT_THAT(tasks_.log.columns, ElementsAre(0, 0, 4, 0, 0));
  EXPECT_THAT(rows("SELECT count(*) FROM tasks"), ElementsAre("4"));
  EXPECT_THAT(tasks_.log.columns, ElementsAre(0, 0, 4, 0, 0));
}

TEST_F(DatabaseTest, LimitStopsTheWalk) {
  EXPECT_THAT(rows("SELECT pid FROM tasks LIMIT 1"), ElementsAre("1"));
  EXPECT_EQ(tasks_.log.rows, 1U);
}

TEST_F(DatabaseTest, AJoinWithoutAKeyWalksTheInnerTableTwiceAtMost) {
  std::vector<FakeTable::Row> many;
  for (std::int64_t i = 0; i < 500; ++i) many.push_back({i, i % 50, fmt::format("name{}", i)});
  const std::vector<tables::ColumnInfo> columns{
      {"id", Type::integer, ""}, {"group_id", Type::integer, ""}, {"name", Type::text, ""}};
  FakeTable a("a", columns, many);
  FakeTable b("b", columns, many);
  const std::array<const tables::Table*, 2> all{&a, &b};
  auto made = Database::create(*session_, all, {{}, {}});
  ASSERT_TRUE(made);
  database_ = std::move(*made);
  EXPECT_THAT(rows("SELECT count(*), sum(b.id) FROM a JOIN b ON b.group_id = a.id"),
              ElementsAre("500|124750"));
  EXPECT_LE(a.log.opens.size() + b.log.opens.size(), 3U);
  EXPECT_THAT(rows("SELECT count(*) FROM a JOIN b ON b.name = a.name WHERE a.id >= 490"),
              ElementsAre("10"));
  EXPECT_THAT(rows("SELECT count(*) FROM a JOIN b ON b.id < a.id"), ElementsAre("124750"));
  EXPECT_LE(a.log.opens.size() + b.log.opens.size(), 9U);
}

TEST_F(DatabaseTest, ACorrelatedSubqueryWalksItsTableTwiceAtMost) {
  EXPECT_THAT(rows("SELECT pid, (SELECT count(*) FROM plain p WHERE p.pid = t.pid) FROM tasks t"),
              ElementsAre("1|1", "2|0", "3|2", "3|2"));
  EXPECT_LE(plain_.log.opens.size(), 2U);
}

TEST_F(DatabaseTest, AJoinOnNullMatchesNothing) {
  EXPECT_THAT(rows("SELECT a.note FROM plain a JOIN plain b ON a.pid = b.pid"),
              UnorderedElementsAre("one", "three", "three", "three", "three"));
  EXPECT_THAT(rows("SELECT a.note FROM plain a JOIN plain b ON a.pid IS b.pid WHERE a.pid IS NULL"),
              ElementsAre("none"));
}

TEST_F(DatabaseTest, AJoinOnNullLooksAtNoRow) {
  std::vector<FakeTable::Row> many{{std::int64_t{0}}, {std::int64_t{1}}};
  many.resize(500, FakeTable::Row{Null{}});
  FakeTable a("a", {{"id", Type::integer, ""}}, many);
  FakeTable b("b", {{"id", Type::integer, ""}}, many);
  const std::array<const tables::Table*, 2> all{&a, &b};
  auto made = Database::create(*session_, all, {{}, {}});
  ASSERT_TRUE(made);
  database_ = std::move(*made);
  EXPECT_THAT(rows("SELECT count(*) FROM a CROSS JOIN b WHERE b.id = a.id"), ElementsAre("2"));
  // SQLite asks for the outer cell again for each row of the inner table that it compares.
  EXPECT_LT(a.log.columns[0], 3 * many.size());
}

// SQLite merges the rows that both sides of an OR find by their row numbers.
TEST_F(DatabaseTest, OrOverTwoKeysFindsEachRowOnce) {
  EXPECT_THAT(rows("SELECT fd, path FROM files WHERE task = 0xffff888000000080 OR path = 'orphan'"),
              UnorderedElementsAre("0|/dev/null", "7|orphan"));
  EXPECT_THAT(
      rows("SELECT fd, path FROM files WHERE task = 0xffff888000000000 OR path = '/dev/console'"),
      UnorderedElementsAre("0|/dev/console", "1|/dev/console"));
  EXPECT_THAT(rows("SELECT pid, note FROM plain WHERE pid = 3 OR note = 'three' OR note = 'one'"),
              UnorderedElementsAre("1|one", "3|three", "3|three"))
      << "rows that agree in every column are two rows";
  EXPECT_THAT(rows("SELECT t.pid, p.note FROM tasks t JOIN plain p ON p.pid = t.pid OR p.note = "
                   "'none' ORDER BY 1, 2"),
              ElementsAre("1|none", "1|one", "2|none", "3|none", "3|none", "3|three", "3|three",
                          "3|three", "3|three"));
}

TEST_F(DatabaseTest, RowIdsAreThoseOfTheRowAndNotOfTheWalk) {
  const auto all = rows("SELECT rowid FROM plain");
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 4U);
  EXPECT_THAT(rows("SELECT count(*) FROM tasks t JOIN plain p WHERE p.rowid IN (SELECT rowid FROM "
                   "plain)"),
              ElementsAre("16"));
  EXPECT_THAT(
      rows("SELECT a.fd FROM files a, files b WHERE a.rowid = b.rowid AND b.path = 'orphan'"),
      ElementsAre("7"));
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
