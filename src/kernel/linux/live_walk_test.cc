// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/live_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "kernel/linux/containers.h"
#include "kernel/linux/test_kernel_memory.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kNode = 64;                    ///< bytes from one node to the next
constexpr std::uint64_t kPoison = 0xdead000000000122;  // LIST_POISON2, include/linux/poison.h

/// A list_head at kBase and room for nodes behind it; `put` is what a guest's processor does.
class LiveWalkTest : public KernelMemoryTest {
 protected:
  LiveWalkTest() : KernelMemoryTest(std::nullopt, /*is_live=*/true) {
    put(kBase, kBase.value);
    put(kBase + 8, kBase.value);
  }

  static VirtAddr node(std::uint64_t number) { return kBase + (number + 1) * kNode; }
  void put(VirtAddr at, std::uint64_t word) {
    auto* place = reinterpret_cast<std::uint64_t*>(bytes_.at(physical(at)));
    std::atomic_ref(*place).store(word, std::memory_order_release);
  }

  // In the order in which list_add_tail_rcu() and list_del_rcu() store.
  void add_tail(VirtAddr added) {
    const VirtAddr last(get(kBase + 8));
    put(added, kBase.value);
    put(added + 8, last.value);
    put(last, added.value);
    put(kBase + 8, added.value);
  }
  void remove(VirtAddr removed) {
    const VirtAddr next(get(removed)), previous(get(removed + 8));
    put(next + 8, previous.value);
    put(previous, next.value);
    put(removed + 8, kPoison);
  }
};

TEST_F(LiveWalkTest, AListAtRestIsWhole) {
  for (std::uint64_t i = 0; i < 10; ++i) add_tail(node(i));
  const auto walk = try_list(*reader_, kBase, 0, 100);
  EXPECT_TRUE(walk.is_whole);
  EXPECT_EQ(walk.found.size(), 10U);
  EXPECT_EQ(walk.found[9], node(9));
}

TEST_F(LiveWalkTest, ANodeOfAnotherPlaceIsNoticed) {
  for (std::uint64_t i = 0; i < 10; ++i) add_tail(node(i));
  put(node(4), kBase.value);  // as if it had been freed, and added again at the end
  EXPECT_FALSE(try_list(*reader_, kBase, 0, 100).is_whole);
  put(node(4), node(5).value);
  put(node(5) + 8, kPoison);
  EXPECT_FALSE(try_list(*reader_, kBase, 0, 100).is_whole);
}

TEST_F(LiveWalkTest, ATooLongListIsNotWhole) {
  for (std::uint64_t i = 0; i < 10; ++i) add_tail(node(i));
  const auto walk = try_list(*reader_, kBase, 0, 5);
  EXPECT_FALSE(walk.is_whole);
  EXPECT_EQ(walk.found.size(), 5U);
}

TEST_F(LiveWalkTest, OneThatWasRemovedIsNotOnItsList) {
  add_tail(node(0));
  add_tail(node(1));
  EXPECT_TRUE(is_on_list(*reader_, node(0)));
  remove(node(0));
  EXPECT_FALSE(is_on_list(*reader_, node(0)));
  EXPECT_TRUE(is_on_list(*reader_, node(1)));
}

// The guest was paused between two stores of list_add_tail_rcu().
TEST_F(LiveWalkTest, AHalfMadeChangeOfAPausedGuestIsWalkedAsItIs) {
  for (std::uint64_t i = 0; i < 3; ++i) add_tail(node(i));
  put(kBase + 8, node(1).value);
  EXPECT_EQ(walk_list(*reader_, kBase, 0, "list"), (std::vector{node(0), node(1), node(2)}));
  for (const auto& row : diagnostics_.rows()) EXPECT_EQ(row.level, Level::debug);
}

TEST_F(LiveWalkTest, ADamagedListIsReported) {
  for (std::uint64_t i = 0; i < 3; ++i) add_tail(node(i));
  put(node(2), 0);
  EXPECT_EQ(walk_list(*reader_, kBase, 0, "list").size(), 3U);
  const auto rows = diagnostics_.rows();
  EXPECT_TRUE(std::any_of(rows.begin(), rows.end(),
                          [](const auto& row) { return row.level == Level::warning; }));
}

TEST(UntilWhole, GivesUpWithAllThatWasFound) {
  std::uint64_t number = 0;
  const auto walked = until_whole<VirtAddr>([&] {
    ++number;
    return Try<VirtAddr>{{VirtAddr(1), VirtAddr(1 + number)}, false};
  });
  EXPECT_EQ(walked.settled, Settled::moving);
  EXPECT_EQ(walked.tries, kMostTries);
  EXPECT_EQ(walked.found.size(), 1U + kMostTries);
}

TEST(UntilWhole, CollectsNoMoreThanItsLimit) {
  std::uint64_t number = 0;
  const auto another_list_each_time = [&] {
    Try<VirtAddr> one{{}, false};
    for (int i = 0; i < 6; ++i) one.found.emplace_back(++number);
    return one;
  };
  const auto walked = until_whole<VirtAddr>(another_list_each_time, 10);
  EXPECT_EQ(walked.settled, Settled::moving);
  EXPECT_EQ(walked.found.size(), 10U);
  EXPECT_LT(walked.tries, kMostTries);
}

TEST(UntilWhole, IsDoneWithTheFirstTryThatIsWhole) {
  unsigned number = 0;
  const auto walked = until_whole<VirtAddr>([&] {
    ++number;
    return Try<VirtAddr>{{VirtAddr(number)}, number == 3};
  });
  EXPECT_EQ(walked.settled, Settled::whole);
  EXPECT_EQ(walked.found, std::vector{VirtAddr(3)});
}

// Between those that stay lie others, which are taken out and used anew at the end of the list at
// once: that is worse than what a kernel does. A walk that stands on one is led to the end.
TEST_F(LiveWalkTest, WhatStaysIsNeverMissed) {
  constexpr std::uint64_t kStay = 40, kRounds = 5000, kMostRounds = 200'000;
  constexpr std::size_t kDisturbed = 100;
  const auto rebuild = [this] {
    put(kBase, kBase.value);
    put(kBase + 8, kBase.value);
    for (std::uint64_t i = 0; i < kStay; ++i) {
      add_tail(node(i));
      add_tail(node(kStay + i));
    }
  };
  std::atomic<std::uint64_t> round = 0, done = 0;
  std::atomic<bool> stop = false;
  std::thread guest([&] {
    while (!stop) {
      if (done == round) continue;
      for (std::uint64_t i = 0; i < kStay; ++i) {
        const VirtAddr brief = node(kStay + (i * 7 + round) % kStay);
        remove(brief);
        add_tail(brief);
      }
      done = round.load();
    }
  });
  std::size_t whole = 0, disturbed = 0;
  std::size_t cut = 0;  // tries that lost something, and said so
  // Both threads must really run at once, which a busy host may put off.
  while (round < kRounds || (disturbed < kDisturbed && round < kMostRounds)) {
    rebuild();
    ++round;
    do {
      const auto walk = try_list(*reader_, kBase, 0, 1000);
      const auto stayed = std::count_if(walk.found.begin(), walk.found.end(),
                                        [](VirtAddr object) { return object < node(kStay); });
      (walk.is_whole ? whole : disturbed) += 1;
      if (walk.is_whole) {
        EXPECT_EQ(stayed, kStay) << "round " << round;
      } else if (stayed < std::int64_t{kStay}) {
        ++cut;
      }
    } while (done != round);
  }
  stop = true;
  guest.join();
  RecordProperty("whole", std::to_string(whole));
  RecordProperty("disturbed", std::to_string(disturbed));
  RecordProperty("cut", std::to_string(cut));
}

TEST_F(LiveWalkTest, AChainIsWalkedAndItsDamageReported) {
  const VirtAddr owner = kBase + 0x8000, object = kBase + 0x8100;
  const Field<VirtAddr> link{"object.next", 0};
  put(owner, object.value);
  EXPECT_EQ(walk_chain(*reader_, owner, link, link), std::vector{object});
  EXPECT_TRUE(diagnostics_.rows().empty());
  put(object, object.value);
  EXPECT_EQ(walk_chain(*reader_, owner, link, link), std::vector{object});
  EXPECT_FALSE(diagnostics_.rows().empty());
}

TEST_F(LiveWalkTest, FollowedWordsLeadThereUntilOneChanges) {
  put(node(1), node(2).value);
  put(node(2), node(3).value);
  FollowedWords words;
  EXPECT_TRUE(words.still_lead_there(*reader_));
  words.push(node(1), node(2).value);
  words.push(node(2), node(3).value);
  EXPECT_TRUE(words.still_lead_there(*reader_));
  put(node(1), node(3).value);  // not the last one only
  EXPECT_FALSE(words.still_lead_there(*reader_));
  put(node(1), node(2).value);
  words.push(kBase + kDataSize, 0);  // nothing is mapped there
  EXPECT_FALSE(words.still_lead_there(*reader_));
  words.pop();
  EXPECT_TRUE(words.still_lead_there(*reader_));
}

}  // namespace
}  // namespace engram::kernel
