// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/memory_atomic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace engram::guest {
namespace {

using namespace std::chrono_literals;

/// A map of which every part has the same number, and which counts those that are alive.
class Map {
 public:
  Map(int number, std::shared_ptr<std::atomic<int>> alive)
      : parts_(64, number), alive_(std::move(alive)) {
    ++*alive_;
  }
  Map(Map&& other) noexcept = default;
  ~Map() {
    if (alive_) --*alive_;
  }

  [[nodiscard]] int number() const { return parts_.front(); }
  [[nodiscard]] bool whole() const {
    return std::all_of(parts_.begin(), parts_.end(), [&](int part) { return part == number(); });
  }

 private:
  std::vector<int> parts_;
  std::shared_ptr<std::atomic<int>> alive_;
};

struct MemoryAtomicTest : testing::Test {
  std::shared_ptr<std::atomic<int>> alive = std::make_shared<std::atomic<int>>(0);
  MemoryAtomic<Map> memory{Map(1, alive)};

  void replace(int number) { memory.lock().replace(Map(number, alive)); }
};

TEST_F(MemoryAtomicTest, ASnapshotStaysAsItIs) {
  const auto before = memory.snapshot();
  replace(2);
  EXPECT_EQ(before->number(), 1);
  EXPECT_EQ(memory.snapshot()->number(), 2);
  EXPECT_EQ(memory.generation(), 2U);
  EXPECT_EQ(*alive, 2);
}

TEST_F(MemoryAtomicTest, ASnapshotOutlivesTheMemory) {
  MemoryAtomic<Map>::Snapshot left;
  {
    const MemoryAtomic<Map> other(Map(7, alive));
    left = other.snapshot();
  }
  EXPECT_EQ(left->number(), 7);
}

TEST_F(MemoryAtomicTest, CopiesShareTheMap) {
  const MemoryAtomic<Map> copy = memory;
  replace(2);
  EXPECT_EQ(copy.snapshot()->number(), 2);
}

TEST_F(MemoryAtomicTest, AReaderFollowsAndKeeps) {
  MemoryAtomic<Map>::Reader reader(memory);
  EXPECT_EQ(reader.generation(), 0U);
  EXPECT_EQ(reader->number(), 1);
  replace(2);
  EXPECT_EQ(*alive, 2) << "the reader still has the first";
  EXPECT_EQ(reader->number(), 2);
  EXPECT_EQ(*alive, 1);
  EXPECT_EQ(reader.generation(), 2U);
}

TEST_F(MemoryAtomicTest, AQuiescentReaderHoldsNothing) {
  MemoryAtomic<Map>::Reader reader(memory);
  EXPECT_EQ(reader->number(), 1);
  reader.quiesce();
  replace(2);
  EXPECT_EQ(*alive, 1);
  EXPECT_EQ(reader->number(), 2);
}

TEST_F(MemoryAtomicTest, TheWriterSeesWhatItReplaces) {
  auto update = memory.lock();
  EXPECT_EQ(update->number(), 1);
  EXPECT_EQ((*update).number(), 1);
  std::move(update).replace(Map(2, alive));
  EXPECT_EQ(*alive, 1) << "the writer does not keep it";
}

TEST_F(MemoryAtomicTest, AWriterThatChangesNothingLeavesTheMap) {
  { const auto update = memory.lock(); }
  EXPECT_EQ(memory.generation(), 1U);
  replace(2);
  EXPECT_EQ(memory.snapshot()->number(), 2);
}

TEST_F(MemoryAtomicTest, WaitForReadersKnowsWhoIsBehind) {
  MemoryAtomic<Map>::Reader reader(memory);
  EXPECT_EQ(reader->number(), 1);
  EXPECT_TRUE(memory.wait_for_readers(0ns)) << "nothing was replaced";
  replace(2);
  EXPECT_EQ(memory.retired_maps(), 1U);
  EXPECT_FALSE(memory.wait_for_readers(1ms));
  const auto snapshot = memory.snapshot();
  reader.quiesce();
  EXPECT_TRUE(memory.wait_for_readers(0ns)) << "a snapshot of the newest is no hindrance";
  EXPECT_EQ(memory.retired_maps(), 0U);
}

TEST_F(MemoryAtomicTest, WaitForReadersReturnsWhenTheLastOneLetsGo) {
  MemoryAtomic<Map>::Reader reader(memory);
  EXPECT_EQ(reader->number(), 1);
  replace(2);
  std::atomic<bool> let_go = false;
  std::thread waiter([&] {
    memory.wait_for_readers();
    EXPECT_TRUE(let_go);
    EXPECT_EQ(*alive, 1) << "the memory is gone, not only about to go";
  });
  std::this_thread::sleep_for(10ms);
  let_go = true;
  reader.quiesce();
  waiter.join();
}

TEST_F(MemoryAtomicTest, NoReaderSeesAHalfBuiltMap) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&, i] {
      MemoryAtomic<Map>::Reader reader(memory);
      int newest = 0;
      while (!stop) {
        const Map& map = *reader;
        ASSERT_TRUE(map.whole());
        ASSERT_GE(map.number(), newest) << "time runs forwards";
        newest = map.number();
        if (i == 0) reader.quiesce();
      }
    });
  }
  for (int number = 2; number <= 2000; ++number) replace(number);
  stop = true;
  for (std::thread& reader : readers) reader.join();
  memory.wait_for_readers();
  EXPECT_EQ(*alive, 1);
}

TEST_F(MemoryAtomicTest, TwoWritersLoseNothing) {
  constexpr int kEach = 500;
  const auto increment = [&] {
    for (int i = 0; i < kEach; ++i) {
      auto update = memory.lock();
      const int next = update->number() + 1;
      std::move(update).replace(Map(next, alive));
    }
  };
  std::thread other(increment);
  increment();
  other.join();
  EXPECT_EQ(memory.snapshot()->number(), 1 + 2 * kEach);
}

TEST_F(MemoryAtomicTest, EverySourceGivesASnapshot) {
  const Map plain(5, alive);
  EXPECT_EQ(snapshot_of(plain), &plain);
  const auto shared = std::make_shared<const Map>(6, alive);
  EXPECT_EQ(snapshot_of(shared), shared);
  EXPECT_EQ(snapshot_of(memory)->number(), 1);
}

}  // namespace
}  // namespace engram::guest
