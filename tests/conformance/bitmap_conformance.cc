// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The page bitmap as a tracker of dirty pages, and what must hold while others mark.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mapping/atomic_bitmap.h"
#include "mapping/volatile_slice.h"

namespace engram::mapping {
namespace {

using testing::ElementsAre;

TEST(VT40, A1025ByteBitmapHasNinePages) {
  EXPECT_EQ(AtomicBitmap(1025, 128).size(), 9u);
  EXPECT_EQ(AtomicBitmap(1024, 128).size(), 8u);
}

TEST(VT40, MarkCloneResetAndHarvest) {
  AtomicBitmap bitmap(1024, 128);
  EXPECT_EQ(bitmap.byte_size(), 1024u);
  bitmap.mark_dirty(128, 129);
  for (std::uint64_t page = 0; page < 8; ++page) {
    EXPECT_EQ(bitmap.bit(page), page == 1 || page == 2) << page;
    EXPECT_EQ(bitmap.dirty_at(page * 128 + 127), page == 1 || page == 2) << page;
  }
  const AtomicBitmap copy = bitmap.clone();
  bitmap.reset();
  for (std::uint64_t page = 0; page < 8; ++page) {
    EXPECT_FALSE(bitmap.bit(page)) << page;
    EXPECT_EQ(copy.bit(page), page == 1 || page == 2) << page;
  }
  bitmap.mark_dirty(128, 129);
  EXPECT_THAT(bitmap.get_and_reset(), ElementsAre(0b110));
  EXPECT_THAT(bitmap.get_and_reset(), ElementsAre(0));
}

TEST(VT41, ResetOfTheRangeThatWasMarkedLeavesNothing) {
  AtomicBitmap bitmap(1024, 128);
  bitmap.mark_dirty(128, 129);
  ASSERT_TRUE(bitmap.bit(1) && bitmap.bit(2));
  bitmap.reset_range(128, 129);
  EXPECT_THAT(bitmap.get_and_reset(), ElementsAre(0));
}

TEST(VT42, ARangeThatRunsPastTheEndIsCut) {
  AtomicBitmap bitmap(1024, 1);
  bitmap.mark_dirty(768, 512);
  EXPECT_FALSE(bitmap.dirty_at(767));
  EXPECT_TRUE(bitmap.dirty_at(768));
  EXPECT_TRUE(bitmap.dirty_at(1023));
  EXPECT_FALSE(bitmap.dirty_at(1024));
  EXPECT_FALSE(bitmap.dirty_at(1152));
}

TEST(VT43, EnlargeKeepsMarksAndAddsCleanPages) {
  AtomicBitmap bitmap(8 * kKiB, 128);
  ASSERT_EQ(bitmap.size(), 64u);
  bitmap.mark_bit(3);
  bitmap.mark_bit(63);
  bitmap.enlarge(16 * kKiB);
  ASSERT_EQ(bitmap.size(), 128u);
  for (std::uint64_t page = 0; page < 128; ++page) {
    EXPECT_EQ(bitmap.bit(page), page == 3 || page == 63) << page;
  }
  for (std::uint64_t page = 65; page < 128; ++page) {
    bitmap.mark_bit(page);
    EXPECT_TRUE(bitmap.bit(page)) << page;
  }
  EXPECT_FALSE(bitmap.bit(64));
  bitmap.reset_range(0, 16 * kKiB);
  EXPECT_THAT(bitmap.get_and_reset(), ElementsAre(0, 0));
}

TEST(VT44, SlicesSeeWhatIsMarkedInTheBitmap) {
  AtomicBitmap bitmap(0x1000, 128);
  const BitmapSlice behind = bitmap.slice_at(0x400), whole = bitmap.slice_at(0);
  bitmap.mark_dirty(0x400, 0x100);
  EXPECT_TRUE(behind.dirty_at(0) && behind.dirty_at(0xff));
  EXPECT_FALSE(behind.dirty_at(0x100));
  EXPECT_TRUE(whole.dirty_at(0x400) && whole.dirty_at(0x4ff));
  EXPECT_FALSE(whole.dirty_at(0x3ff) || whole.dirty_at(0x500));
}

/// What every tracker of 0x1000 bytes in pages of 128 does, whose bytes begin at `base` of `all`.
template <class Tracker>
void check_tracker(Tracker& tracker, const AtomicBitmap& all, std::uint64_t base) {
  for (const std::uint64_t offset : {0x0u, 0x80u, 0xf80u}) {
    EXPECT_FALSE(tracker.dirty_at(offset));
    tracker.mark_dirty(offset, 0);
    EXPECT_FALSE(tracker.dirty_at(offset));
    tracker.mark_dirty(offset, 1);
    EXPECT_TRUE(tracker.dirty_at(offset));
    EXPECT_TRUE(all.dirty_at(base + offset));
    EXPECT_TRUE(tracker.slice_at(offset).dirty_at(0));
  }
  const auto part = tracker.slice_at(0x400).slice_at(0x200);
  EXPECT_FALSE(part.dirty_at(0x80));
  part.mark_dirty(0x80, 0x81);
  EXPECT_TRUE(tracker.dirty_at(0x680) && tracker.dirty_at(0x700));
  EXPECT_FALSE(tracker.dirty_at(0x600) || tracker.dirty_at(0x780));
}

TEST(VT44, BitmapsAndTheirSlicesAreTrackers) {
  AtomicBitmap bitmap(0x1000, 128);
  check_tracker(bitmap, bitmap, 0);
  AtomicBitmap larger(0x2000, 128);
  const BitmapSlice borrowed = larger.slice_at(0x1000);
  check_tracker(borrowed, larger, 0x1000);
  const auto owned = std::make_shared<AtomicBitmap>(0x2000, 128);
  const SharedBitmapSlice shared(owned, 0x1000);
  check_tracker(shared, *owned, 0x1000);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kRounds = 1'000'000;
#else
constexpr std::uint64_t kRounds = 10'000'000;
#endif

/// Pages that one thread writes in turn and another copies when they are marked, as a migration
/// does. Each has a word of the bitmap to itself, so that the copy follows the harvest at once.
class Litmus {
 public:
  Litmus() : harvester_([this] { harvest(); }) {}
  ~Litmus() {
    stop_ = true;
    harvester_.join();
  }

  /// Writes and marks a page twice. The mark of the second write mostly finds the bit set, and must
  /// not be skipped for that.
  void round(std::uint64_t number) {
    const std::uint64_t page = number % kPages;
    if (number >= kPages) check(page, 2 * (number - kPages) + 1);
    EXPECT_TRUE(view_.write_object(page * kStride, 2 * number));
    EXPECT_TRUE(view_.write_object(page * kStride, 2 * number + 1));
  }
  /// Rounds of which the harvester has told what it got.
  [[nodiscard]] std::uint64_t harvested() const { return harvested_; }
  /// Those whose second value it neither got nor will get.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  static constexpr std::uint64_t kPages = 64, kTracked = 64, kStride = kTracked * kPagesPerWord;

  void check(std::uint64_t page, std::uint64_t value) {
    if (bitmap_.dirty_at(page * kStride)) return;  // it will be taken
    ++harvested_;
    if (copies_[page] == value) return;
    // It may be on its way just now.
    const std::uint64_t before = sweeps_;
    while (sweeps_ < before + 2) std::this_thread::yield();
    if (copies_[page] != value) ++lost_;
  }

  void harvest() {
    while (!stop_) {
      // Another reader of the pages, which makes the writer's stores wait.
      for (std::uint64_t page = 0; page < kPages; ++page) {
        EXPECT_TRUE(view_.read_object<std::uint64_t>(page * kStride));
      }
      bitmap_.drain([&](std::uint64_t first_page, std::uint64_t) {
        const auto value = view_.read_object<std::uint64_t>(first_page * kTracked);
        copies_[first_page / kPagesPerWord] = value.value();
      });
      ++sweeps_;
    }
  }

  std::vector<std::byte> bytes_ = std::vector<std::byte>(kPages * kStride);
  AtomicBitmap bitmap_{kPages * kStride, kTracked};
  const VolatileSlice<BitmapSlice> view_{bytes_.data(), bytes_.size(), bitmap_.slice_at(0)};
  std::array<std::atomic<std::uint64_t>, kPages> copies_{};
  std::atomic<std::uint64_t> sweeps_ = 0;
  std::uint64_t harvested_ = 0, lost_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread harvester_;
};

// A machine whose processors have other work runs the two threads one after the other: such rounds
// do not count, and the time is bounded.
TEST(ST06, NoMarkIsLostToAHarvester) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  Litmus litmus;
  std::uint64_t number = 0;
  while (litmus.harvested() < kRounds && std::chrono::steady_clock::now() < deadline) {
    const std::uint64_t before = litmus.harvested();
    for (const std::uint64_t end = number + 1000; number < end; ++number) litmus.round(number);
    if (litmus.harvested() == before) std::this_thread::yield();
  }
  EXPECT_GT(litmus.harvested(), 0u);
  EXPECT_EQ(litmus.lost(), 0u) << "of " << litmus.harvested();
  RecordProperty("rounds", std::to_string(litmus.harvested()));
}

TEST(ST06, EveryMarkOfSeveralWritersIsHarvestedOnceItStands) {
  constexpr std::uint64_t kPages = 256;
  AtomicBitmap bitmap(kPages * kPageSize);
  std::array<std::atomic<std::uint64_t>, kPages> harvested{};
  std::atomic<int> running = 2;
  const auto write = [&](std::uint64_t first) {
    for (int round = 0; round < 2000; ++round) {
      for (std::uint64_t page = first; page < kPages; page += 2) {
        bitmap.mark_dirty(page * kPageSize + 1, 1);
      }
    }
    --running;
  };
  const auto take = [&](std::uint64_t page, std::uint64_t word) {
    for (; word != 0; word &= word - 1) {
      ++harvested[page + static_cast<std::uint64_t>(std::countr_zero(word))];
    }
  };
  std::thread even(write, 0), odd(write, 1);
  std::thread second_harvester([&] {
    while (running != 0) bitmap.drain(take);
  });
  while (running != 0) bitmap.drain(take);
  even.join();
  odd.join();
  second_harvester.join();
  bitmap.drain(take);
  for (std::uint64_t page = 0; page < kPages; ++page) {
    EXPECT_GE(harvested[page], 1u) << page;
    EXPECT_LE(harvested[page], 2000u) << page;
  }
  EXPECT_THAT(bitmap.get_and_reset(), testing::Each(0u));
}

}  // namespace
}  // namespace engram::mapping
