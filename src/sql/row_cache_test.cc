// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/row_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

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

TEST(RowCache, KeepsTheColumnsThatAreAskedFor) {
  Vector cursor(
      {{std::int64_t{1}, std::string("one"), 1.0}, {std::int64_t{2}, std::string("two"), 2.0}});
  auto cache = RowCache::build(cursor, 3, ColumnSet(0b101), never, share());
  ASSERT_TRUE(cache && *cache);
  EXPECT_EQ((*cache)->size(), 2U);
  EXPECT_TRUE(same(*(*cache)->at(1, 0), std::int64_t{2}));
  EXPECT_EQ((*cache)->at(1, 1), nullptr);
  EXPECT_TRUE(same(*(*cache)->at(1, 2), 2.0));
}

TEST(RowCache, CandidatesAreEqualCellsAndCellsOfOtherTypes) {
  Vector cursor(
      {{std::int64_t{5}}, {Null{}}, {std::string("5")}, {std::int64_t{6}}, {std::int64_t{5}}});
  auto cache = RowCache::build(cursor, 1, ColumnSet(), never, share());
  ASSERT_TRUE(cache && *cache);
  auto rows = (*cache)->candidates(0, std::int64_t{5});
  ASSERT_TRUE(rows);
  std::sort(rows->begin(), rows->end());
  EXPECT_THAT(*rows, ElementsAre(0, 2, 4)) << "SQLite decides about the text";
}

TEST(RowCache, CandidatesAgreeWithAScan) {
  std::vector<std::vector<Value>> all;
  std::uint64_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    all.push_back({static_cast<std::int64_t>(state >> 55U)});
  }
  Vector cursor(all);
  auto cache = RowCache::build(cursor, 1, ColumnSet(), never, share());
  ASSERT_TRUE(cache && *cache);
  for (std::int64_t wanted = 0; wanted < 520; ++wanted) {
    std::vector<std::uint32_t> slow;
    for (std::uint32_t row = 0; row < all.size(); ++row) {
      if (same(all[row][0], wanted)) slow.push_back(row);
    }
    EXPECT_EQ((*cache)->candidates(0, wanted), slow);
  }
}

TEST(RowCache, ZeroEqualsNegativeZero) {
  EXPECT_TRUE(same(0.0, -0.0));
  EXPECT_EQ(hash(0.0), hash(-0.0));
}

TEST(RowCache, GivesUpBeyondItsLimit) {
  const std::vector<Value> row{std::string(1000, 'x')};
  Vector cursor({row, row});
  const auto cache = RowCache::build(cursor, 1, ColumnSet(), never, share(1500));
  ASSERT_TRUE(cache);
  EXPECT_FALSE(*cache);
}

TEST(RowCache, WithoutRoomForAnIndexAnyRowIsACandidate) {
  const auto budget = std::make_shared<RowBudget>(3 * sizeof(Value) + 32);
  {
    Vector cursor({{std::int64_t{1}}, {std::int64_t{2}}});
    auto cache = RowCache::build(cursor, 1, ColumnSet(), never, BudgetShare(budget));
    ASSERT_TRUE(cache && *cache);
    EXPECT_GT(budget->taken(), 0U);
    EXPECT_EQ((*cache)->candidates(0, std::int64_t{2}), std::nullopt);
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

TEST(RowCache, StopsWhenInterrupted) {
  const std::vector<Value> row{std::int64_t{1}};
  Vector cursor({row, row});
  const std::atomic<bool> interrupted = true;
  const auto cache = RowCache::build(cursor, 1, ColumnSet(), interrupted, share());
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().text, "interrupted");
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
