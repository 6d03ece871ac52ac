// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// What is asked of tables: keys, joins, columns, walks.
#include <gmock/gmock.h>

#include <array>

#include "sql/test_database.h"

namespace engram::sql {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

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
  use(all);
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
  use(all);
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
  // In memory; in a file, because the budget has room for a few rows only.
  for (const std::uint64_t budget : {RowBudget::kDefault, std::uint64_t{1000}}) {
    FakeTable a("a", columns, many);
    FakeTable b("b", columns, many);
    const std::array<const tables::Table*, 2> all{&a, &b};
    DatabaseOptions options;
    options.kept_rows = std::make_shared<RowBudget>(budget);
    options.sort_memory = kMiB;
    use(all, options);
    EXPECT_THAT(rows("SELECT count(*), sum(b.id) FROM a JOIN b ON b.group_id = a.id"),
                ElementsAre("500|124750"));
    EXPECT_LE(a.log.opens.size() + b.log.opens.size(), 3U);
    EXPECT_THAT(rows("SELECT count(*) FROM a JOIN b ON b.name = a.name WHERE a.id >= 490"),
                ElementsAre("10"));
    EXPECT_THAT(rows("SELECT count(*) FROM a JOIN b ON b.id < a.id"), ElementsAre("124750"));
    EXPECT_LE(a.log.opens.size() + b.log.opens.size(), 9U);
    EXPECT_THAT(rows("SELECT count(*) FROM a CROSS JOIN b WHERE b.id = a.id OR b.name = 'name7'"),
                ElementsAre("999"));
    EXPECT_LE(a.log.opens.size() + b.log.opens.size(), 14U);
    database_.reset();
  }
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
  use(all);
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

}  // namespace
}  // namespace engram::sql
