// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/database.h"
#include "sql/suggest.h"

namespace engram::sql {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(ParseView, ReadsTheHeader) {
  const ViewDoc view =
      parse_view({"p",
                  "-- SPDX-FileCopyrightText: somebody\n-- SPDX-License-Identifier: Apache-2.0\n"
                  "-- Processes: one row each.\n--\n-- pid: number\n-- name: what it is called,\n"
                  "--   cut at 15 bytes\nCREATE VIEW p AS SELECT 1 -- not: this\n;"});
  EXPECT_EQ(view.doc, "Processes: one row each.");
  EXPECT_THAT(view.columns, ElementsAre(Pair("pid", "number"),
                                        Pair("name", "what it is called, cut at 15 bytes")));
  EXPECT_TRUE(view.statement.starts_with("-- Processes"));
}

TEST(ParseView, DoesWithoutAHeader) {
  EXPECT_THAT(parse_view({"v", "SELECT 1"}).columns, IsEmpty());
  EXPECT_EQ(parse_view({"v", "-- only this"}).doc, "only this");
  EXPECT_EQ(parse_view({"v", ""}).statement, "");
}

TEST(ParseView, TheNameOfTheViewMayStandBeforeWhatItIs) {
  const ViewDoc view =
      parse_view({"v", "-- v: all of it,\n--  more\n-- a: first\n-- v: second\nSELECT 1"});
  EXPECT_EQ(view.doc, "all of it, more");
  EXPECT_THAT(view.columns, ElementsAre(Pair("a", "first"), Pair("v", "second")));
}

TEST(EmbeddedViews, EachColumnIsDocumented) {
  auto database = Database::create_without_image(tables::all_tables());
  ASSERT_TRUE(database) << database.error().text;
  std::size_t seen = 0;
  for (const auto& relation : (*database)->relations()) {
    if (relation.kind != Relation::Kind::view) continue;
    ++seen;
    EXPECT_NE(relation.doc, "") << relation.name;
    for (const auto& column : relation.columns) {
      EXPECT_NE(column.doc, "") << relation.name << "." << column.name;
    }
  }
  EXPECT_EQ(seen, embedded_views().size()) << "a view names a table that does not exist";
}

TEST(NearestNames, FindsTyposAndParts) {
  const std::vector<std::string> known{"tasks", "task_open_files", "kernel_modules", "os_version"};
  EXPECT_THAT(nearest_names("taks", known), ElementsAre("tasks"));
  EXPECT_THAT(nearest_names("MODULES", known), ElementsAre("kernel_modules"));
  EXPECT_THAT(nearest_names("open_files", known), ElementsAre("task_open_files"));
  EXPECT_THAT(nearest_names("zebra", known), IsEmpty());
  EXPECT_THAT(nearest_names(std::string(100'000, 'a'), known), IsEmpty());
}

}  // namespace
}  // namespace engram::sql
