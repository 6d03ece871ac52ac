// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/walk_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

namespace engram::paging {
namespace {

TEST(WalkCache, IsEmptyAtFirst) {
  const auto cache = std::make_unique<WalkCache<64>>();
  for (std::uint64_t page = 0; page < 200; ++page) EXPECT_FALSE(cache->find(page));
}

TEST(WalkCache, KeepsTheLastPageOfASlot) {
  const auto cache = std::make_unique<WalkCache<64>>();
  cache->store(0, 7);
  cache->store(1, 8);
  EXPECT_EQ(cache->find(0), 7U);
  cache->store(64, 9);
  EXPECT_EQ(cache->find(0), std::nullopt);
  EXPECT_EQ(cache->find(64), 9U);
  EXPECT_EQ(cache->find(1), 8U);
  constexpr std::uint64_t kHighest = ~0ULL >> 12U;
  cache->store(kHighest, ~0ULL);
  EXPECT_EQ(cache->find(kHighest), ~0ULL);
}

TEST(WalkCache, TakesMoreStoresThanItHasVersions) {
  const auto cache = std::make_unique<WalkCache<1>>();
  for (std::uint64_t page = 0; page < 5000; ++page) {
    cache->store(page, page * 3);
    ASSERT_EQ(cache->find(page), page * 3);
  }
}

TEST(WalkCache, NeverGivesAValueOfAnotherPage) {
  // One slot, and everybody wants it. Without one of the checks in find() and store() half a second
  // shows a wrong value on most runs.
  WalkCache<1> cache;
  constexpr std::uint64_t kPages = 5;
  constexpr std::size_t kThreads = 4;
  const auto value = [](std::uint64_t page) { return page * 0x9e37'79b9'7f4a'7c15; };
  std::array<std::uint64_t, kThreads> wrong{};
  std::array<std::uint64_t, kThreads> hits{};
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      start.arrive_and_wait();
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
      for (std::uint64_t i = 0; i % 4096 != 0 || std::chrono::steady_clock::now() < end; ++i) {
        const std::uint64_t page = (i * (thread + 1) + thread) % kPages;
        if (i % 2 == 0) cache.store(page, value(page));
        const auto found = cache.find((page + i) % kPages);
        if (!found) continue;
        ++hits[thread];
        if (*found != value((page + i) % kPages)) ++wrong[thread];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0U));
  EXPECT_THAT(hits, ::testing::Contains(::testing::Gt(0U)));
}

}  // namespace
}  // namespace engram::paging
