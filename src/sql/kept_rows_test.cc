// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/kept_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "sql/row_cache.h"
#include "sql/row_file.h"

namespace engram::sql {
namespace {

using tables::Null;
using tables::Value;
using testing::ElementsAre;

class Vector final : public tables::Cursor {
 public:
  explicit Vector(std::vector<std::vector<Value>> rows) : rows_(std::move(rows)) {}
  Result<bool> next() override { return ++at_ <= rows_.size(); }
  Value column(std::size_t index) override { return rows_[at_ - 1][index]; }

 private:
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
};

std::atomic<bool> never = false;

BudgetShare share(std::uint64_t bytes = RowBudget::kDefault) {
  return BudgetShare(std::make_shared<RowBudget>(bytes));
}

/// In memory, or, with a budget for the first rows only, in a file.
class KeptRowsTest : public testing::TestWithParam<bool> {
 protected:
  static std::unique_ptr<KeptRows> keep(std::vector<std::vector<Value>> all, ColumnSet columns) {
    const std::size_t width = all.front().size();
    Vector cursor(std::move(all));
    auto rows = keep_rows(cursor, KeptColumns(width, columns), never,
                          GetParam() ? share(8 * sizeof(Value)) : share(), Beyond::file);
    EXPECT_TRUE(rows && *rows);
    EXPECT_EQ(dynamic_cast<RowFile*>(rows->get()) != nullptr, GetParam());
    return std::move(*rows);
  }
};

TEST_P(KeptRowsTest, KeepsTheColumnsThatAreAskedFor) {
  std::vector<std::vector<Value>> all;
  for (std::int64_t i = 0; i < 100; ++i) {
    auto& row = all.emplace_back();
    row.emplace_back(i);
    row.emplace_back(std::to_string(i));
    row.emplace_back(static_cast<double>(i) / 4);
  }
  const auto rows = keep(all, ColumnSet(0b101));
  ASSERT_EQ(rows->size(), all.size());
  for (std::size_t row = all.size(); row-- > 0;) {
    EXPECT_TRUE(same(rows->at(row, 0).value(), all[row][0]));
    EXPECT_TRUE(same(rows->at(row, 1).value(), all[row][2]));
  }
}

TEST_P(KeptRowsTest, KeepsEachKindOfValueAsItIs) {
  std::vector<std::vector<Value>> all;
  const auto add = [&all](Value value) { all.emplace_back().push_back(std::move(value)); };
  add(Null{});
  add(std::numeric_limits<std::int64_t>::min());
  for (const double real : {1.0, -0.0, 0.1}) add(real);
  for (const auto& text : {std::string(), std::string("a\0b\xff", 4), std::string(100'000, 'x')}) {
    add(text);
  }
  add(tables::Blob());
  add(tables::Blob{std::byte{0}, std::byte{255}});
  const auto rows = keep(all, ColumnSet());
  ASSERT_EQ(rows->size(), all.size());
  for (std::size_t row = 0; row < all.size(); ++row) {
    EXPECT_TRUE(same(rows->at(row, 0).value(), all[row][0])) << row;
  }
}

TEST_P(KeptRowsTest, RowsWithoutColumnsAreCounted) {
  std::vector<std::vector<Value>> all(1000, {std::int64_t{1}});
  Vector cursor(all);
  const auto rows = keep_rows(cursor, KeptColumns(1, ColumnSet(0)), never,
                              GetParam() ? share(100) : share(), Beyond::file);
  ASSERT_TRUE(rows && *rows);
  EXPECT_EQ((*rows)->size(), 1000U);
}

TEST_P(KeptRowsTest, CandidatesAreEqualCellsAndCellsOfOtherTypes) {
  std::vector<std::vector<Value>> all;
  for (const std::int64_t number : {5, 0, 0, 6, 5, 0}) all.emplace_back().emplace_back(number);
  all[1][0] = Null{};
  all[2][0] = std::string("5");
  all[5][0] = std::string(1000, 'x');
  const auto rows = keep(all, ColumnSet());
  const auto found = rows->candidates(0, std::int64_t{5});
  ASSERT_TRUE(found);
  if (!*found) return;  // any row
  auto sorted = **found;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_THAT(sorted, ElementsAre(0, 2, 4, 5)) << "SQLite decides about the text";
}

TEST_P(KeptRowsTest, CandidatesAgreeWithAScan) {
  std::vector<std::vector<Value>> all;
  std::uint64_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    auto& row = all.emplace_back();
    row.emplace_back(static_cast<std::int64_t>(state >> 55U));
    if (state % 11 == 0) row.front() = Null{};
  }
  const auto rows = keep(all, ColumnSet());
  for (std::int64_t wanted = 0; wanted < 520; ++wanted) {
    std::vector<std::uint32_t> slow;
    for (std::uint32_t row = 0; row < all.size(); ++row) {
      if (same(all[row][0], wanted)) slow.push_back(row);
    }
    EXPECT_EQ(rows->candidates(0, wanted).value(), slow);
  }
}

INSTANTIATE_TEST_SUITE_P(Where, KeptRowsTest, testing::Bool(),
                         [](const auto& where) { return where.param ? "File" : "Memory"; });

TEST(RowFile, EndsWhenInterrupted) {
  std::atomic<bool> interrupted = false;
  const auto file = RowFile::create(1, interrupted);
  ASSERT_TRUE(file);
  for (std::int64_t i = 0; i < 50'000; ++i) ASSERT_TRUE(file->add({i * 7919 % 50'000}));
  interrupted = true;
  EXPECT_EQ(file->candidates(0, std::int64_t{1}).value(), std::nullopt) << "no time for an index";
  interrupted = false;
  EXPECT_TRUE(same(file->at(49'999, 0).value(), std::int64_t{49'999} * 7919 % 50'000));
}

TEST(RowCache, ZeroEqualsNegativeZero) {
  EXPECT_TRUE(same(0.0, -0.0));
  EXPECT_EQ(hash(0.0), hash(-0.0));
}

TEST(KeptRows, WithoutAFileGivesUpBeyondTheBudget) {
  const std::vector<Value> row{std::string(1000, 'x')};
  Vector cursor({row, row});
  const auto rows =
      keep_rows(cursor, KeptColumns(1, ColumnSet()), never, share(1500), Beyond::walk_again);
  ASSERT_TRUE(rows);
  EXPECT_EQ(*rows, nullptr);
}

TEST(RowCache, WithoutRoomForAnIndexAnyRowIsACandidate) {
  const auto budget = std::make_shared<RowBudget>(3 * sizeof(Value) + 32);
  {
    RowCache cache(1, BudgetShare(budget));
    for (std::int64_t i = 1; i <= 2; ++i) {
      KeptRow row{i};
      ASSERT_TRUE(cache.add(row));
    }
    EXPECT_GT(budget->taken(), 0U);
    EXPECT_EQ(cache.candidates(0, std::int64_t{2}).value(), std::nullopt);
  }
  EXPECT_EQ(budget->taken(), 0U) << "given back with the rows";
}

TEST(RowBudget, IsNotExceededByThreads) {
  RowBudget budget(1000);
  std::atomic<std::uint64_t> taken = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (budget.take(3)) taken += 3;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 999U);
  budget.give_back(999);
  EXPECT_TRUE(budget.take(1000));
  EXPECT_FALSE(budget.take(1));
}

TEST(KeptRows, StopWhenInterrupted) {
  const std::vector<Value> row{std::int64_t{1}};
  Vector cursor({row, row});
  const std::atomic<bool> interrupted = true;
  const auto rows =
      keep_rows(cursor, KeptColumns(1, ColumnSet()), interrupted, share(), Beyond::file);
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().text, "interrupted");
}

TEST(ColumnSet, TheLastBitStandsForAllLaterColumns) {
  const ColumnSet set(std::uint64_t{1} << 63U | 0b10U);
  EXPECT_FALSE(set.contains(0));
  EXPECT_TRUE(set.contains(1));
  EXPECT_TRUE(set.contains(63));
  EXPECT_TRUE(set.contains(200));
}

}  // namespace
}  // namespace engram::sql
