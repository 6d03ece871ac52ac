// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/lazy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
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

TEST(Once, IsDoneByTheNextOneAfterAnException) {
  Once once;
  std::atomic<int> tries = 0, done = 0, failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      try {
        once.call([&] {
          if (++tries <= 3) throw std::runtime_error("not yet");
          ++done;
        });
      } catch (const std::runtime_error&) {
        ++failed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(tries, 4);
  EXPECT_EQ(failed, 3);
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace engram
