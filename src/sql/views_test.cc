// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/suggest.h"

namespace engram::sql {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(ParseView, ReadsTheHeader) {
  const ViewDoc view = parse_view(
      "-- SPDX-FileCopyrightText: somebody\n-- SPDX-License-Identifier: Apache-2.0\n"
      "-- Processes: one row each.\n--\n-- pid: number\n-- name: what it is called,\n"
      "--   cut at 15 bytes\nCREATE VIEW p AS SELECT 1 -- not: this\n;");
  EXPECT_EQ(view.doc, "Processes: one row each.");
  EXPECT_THAT(view.columns, ElementsAre(Pair("pid", "number"),
                                        Pair("name", "what it is called, cut at 15 bytes")));
  EXPECT_TRUE(view.statement.starts_with("-- Processes"));
}

TEST(ParseView, DoesWithoutAHeader) {
  EXPECT_THAT(parse_view("SELECT 1").columns, IsEmpty());
  EXPECT_EQ(parse_view("-- only this").doc, "only this");
  EXPECT_EQ(parse_view("").statement, "");
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
