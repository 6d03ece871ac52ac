// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <thread>

namespace engram {
namespace {

TEST(InOrder, ResultsComeInTheOrderOfTheTasks) {
  InOrder<int> queue;
  int next = 0;
  const auto take = [&] {
    const auto result = queue.take();
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(*result, next++);
  };
  for (int i = 0; i < 100; ++i) {
    if (queue.full()) take();
    queue.add(
        [i]() -> Result<int> {
          std::this_thread::sleep_for(std::chrono::microseconds(i % 3 * 500));
          return i;
        },
        i % 5 == 0);
  }
  while (!queue.empty()) take();
  EXPECT_EQ(next, 100);
}

TEST(InOrder, ErrorsAndExceptionsAreThoseOfTheTask) {
  InOrder<int> queue;
  queue.add([]() -> Result<int> { return fail("no"); });
  queue.add([]() -> Result<int> { throw std::bad_alloc(); });
  const auto failed = queue.take();
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().text, "no");
  EXPECT_THROW((void)queue.take(), std::bad_alloc);
}

TEST(InOrder, WaitsForTasksThatWereBegun) {
  std::atomic<int> begun = 0, done = 0;
  for (int round = 0; round < 20; ++round) {
    InOrder<int> queue;
    while (!queue.full()) {
      queue.add([&]() -> Result<int> {
        ++begun;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return ++done;
      });
    }
    if (round % 2 == 0) {
      EXPECT_TRUE(queue.take().has_value());
    }
  }
  EXPECT_GE(begun, 10);
  EXPECT_EQ(done, begun);
}

TEST(InOrder, TasksMayOwnWhatCannotBeCopied) {
  InOrder<std::unique_ptr<int>> queue;
  for (int i = 0; i < 2; ++i) {
    queue.add([one = std::make_unique<int>(i)]() mutable -> Result<std::unique_ptr<int>> {
      return std::move(one);
    });
  }
  EXPECT_EQ(**queue.take(), 0);
  EXPECT_EQ(**queue.take(), 1);
}

}  // namespace
}  // namespace engram
