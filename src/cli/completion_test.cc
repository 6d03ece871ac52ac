// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_sql.h"

namespace engram::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

const std::vector<sql::Relation> kRelations{
    {sql::Relation::Kind::table,
     "tasks",
     "",
     {{"pid", "INTEGER", "", false, false}, {"page_table", "POINTER", "", false, false}},
     ""},
    {sql::Relation::Kind::table, "task_files", "", {{"path", "TEXT", "", false, false}}, ""},
};

TEST(Complete, DotCommandsAndTheirArguments) {
  EXPECT_THAT(complete(".sc", kRelations).candidates, ElementsAre(".schema"));
  EXPECT_THAT(complete(".schema task", kRelations).candidates, ElementsAre("task_files", "tasks"));
  EXPECT_THAT(complete(".mode j", kRelations).candidates, ElementsAre("json", "jsonl"));
  EXPECT_THAT(complete(".exit x", kRelations).candidates, IsEmpty());
}

TEST(Complete, NamesAndKeywords) {
  const Completion tasks = complete("SELECT pid FROM ta", kRelations);
  EXPECT_EQ(tasks.word, "ta");
  EXPECT_THAT(tasks.candidates, ElementsAre("table", "task_files", "tasks"));
  EXPECT_EQ(tasks.common_beginning(), "ta");
  EXPECT_THAT(complete("SEL", kRelations).candidates, ElementsAre("SELECT"));
  EXPECT_THAT(complete("sel", kRelations).candidates, ElementsAre("select"));
  EXPECT_THAT(complete("SELECT addr", kRelations).candidates, ElementsAre("addr(", "address_of("));
  EXPECT_THAT(complete("SELECT TASKS", kRelations).candidates, ElementsAre("tasks"));
  EXPECT_THAT(complete("SELECT ", kRelations).candidates, IsEmpty());
  EXPECT_THAT(complete("", kRelations).candidates, IsEmpty());
}

TEST(Complete, OnlyColumnsBehindADot) {
  EXPECT_THAT(complete("SELECT t.pa", kRelations).candidates, ElementsAre("page_table", "path"));
  EXPECT_THAT(complete("SELECT t.", kRelations).candidates, Contains("pid"));
  EXPECT_THAT(complete("SELECT t.", kRelations).candidates, Not(Contains("SELECT")));
}

TEST(Describe, SaysLineAndColumn) {
  EXPECT_EQ(describe({{"wrong"}, 12}, "SELECT 1;\n  x"), "line 2, column 3: wrong");
  EXPECT_EQ(describe({{"wrong"}, 0}, "x"), "line 1, column 1: wrong");
  EXPECT_EQ(describe({{"wrong"}, std::nullopt}, "x"), "wrong");
  EXPECT_EQ(describe({{"wrong"}, 3}, "漢x"), "line 1, column 3: wrong") << "a wide character";
}

}  // namespace
}  // namespace engram::cli
