// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/lazy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace engram {
namespace {

struct Counted {
  explicit Counted(std::atomic<int>& made) : number(++made) {}
  int number;
};

TEST(Lazy, IsMadeOnceWhoeverAsks) {
  std::atomic<int> made = 0;
  Lazy<Counted> lazy;
  EXPECT_EQ(made, 0);
  std::vector<std::thread> threads;
  std::atomic<int> sum = 0;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { sum += lazy.get(made).number; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(sum, 8);
}

}  // namespace
}  // namespace engram
