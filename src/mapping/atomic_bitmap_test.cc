// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/atomic_bitmap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace engram::mapping {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

/// The obvious twin: a bool a page.
class Model {
 public:
  Model(std::uint64_t bytes, std::uint64_t page)
      : page_(page), pages_((bytes + page - 1) / page, false) {}
  void set(std::uint64_t offset, std::uint64_t size, bool dirty) {
    if (size == 0) return;
    const std::uint64_t last = size - 1 > kMax - offset ? kMax : offset + (size - 1);
    for (std::uint64_t page = 0; page < pages_.size(); ++page) {
      if (page >= offset / page_ && page <= last / page_) pages_[page] = dirty;
    }
  }
  [[nodiscard]] const std::vector<bool>& pages() const { return pages_; }

 private:
  std::uint64_t page_;
  std::vector<bool> pages_;
};

std::vector<bool> pages_of(const AtomicBitmap& bitmap) {
  std::vector<bool> pages(bitmap.size());
  for (std::uint64_t page = 0; page < bitmap.size(); ++page) pages[page] = bitmap.bit(page);
  return pages;
}

TEST(AtomicBitmapTest, RangesAgreeWithOneBoolAPage) {
  std::mt19937_64 random(1);
  for (const std::uint64_t page : {1u, 8u, 4096u}) {
    for (const std::uint64_t pages : {1u, 63u, 64u, 65u, 128u, 300u}) {
      const std::uint64_t bytes = pages * page - (page > 1 ? random() % page : 0);
      AtomicBitmap bitmap(bytes, page);
      Model model(bytes, page);
      ASSERT_EQ(bitmap.size(), pages);
      for (int round = 0; round < 200; ++round) {
        const std::uint64_t offset = round % 50 == 0 ? kMax - random() % 3 : random() % (2 * bytes);
        const std::uint64_t size = round % 20 == 0 ? kMax - random() % 3 : random() % (bytes + 2);
        const bool dirty = random() % 2 == 0;
        dirty ? bitmap.mark_dirty(offset, size) : bitmap.reset_range(offset, size);
        model.set(offset, size, dirty);
        ASSERT_EQ(pages_of(bitmap), model.pages()) << page << ' ' << offset << '+' << size;
      }
    }
  }
}

TEST(AtomicBitmapTest, BitsPastTheEndAreIgnoredAndClean) {
  AtomicBitmap bitmap(65 * kPageSize);
  EXPECT_EQ(bitmap.page_size(), kPageSize);
  for (const std::uint64_t page : {std::uint64_t{65}, std::uint64_t{127}, kMax}) {
    bitmap.mark_bit(page);
    bitmap.reset_bit(page);
    EXPECT_FALSE(bitmap.bit(page));
  }
  bitmap.mark_dirty(65 * kPageSize, kMax);
  EXPECT_THAT(bitmap.get_and_reset(), ElementsAre(0, 0));
  bitmap.mark_bit(64);
  bitmap.reset_bit(63);
  EXPECT_TRUE(bitmap.bit(64));
  bitmap.reset_bit(64);
  EXPECT_FALSE(bitmap.bit(64));
}

TEST(AtomicBitmapTest, WithoutBytesThereIsNothingToMark) {
  AtomicBitmap bitmap(0);
  bitmap.mark_dirty(0, kMax);
  EXPECT_EQ(bitmap.size(), 0u);
  EXPECT_FALSE(bitmap.dirty_at(0));
  EXPECT_TRUE(bitmap.get_and_reset().empty());
  bitmap.drain_ranges([](std::uint64_t, std::uint64_t) { ADD_FAILURE(); });
}

TEST(AtomicBitmapTest, DrainVisitsDirtyWordsOnceAndInOrder) {
  AtomicBitmap bitmap(1000 * kPageSize);
  bitmap.mark_bit(3);
  bitmap.mark_bit(5);
  bitmap.mark_bit(999);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> words;
  const auto collect = [&](std::uint64_t page, std::uint64_t word) {
    words.emplace_back(page, word);
  };
  bitmap.drain(collect);
  EXPECT_THAT(words, ElementsAre(Pair(0, 0b101000), Pair(960, std::uint64_t{1} << 39)));
  words.clear();
  bitmap.drain(collect);
  EXPECT_TRUE(words.empty());
}

TEST(AtomicBitmapTest, RangesJoinAcrossWordsAndEndWithTheBytes) {
  AtomicBitmap bitmap(200 * 16 - 5, 16);
  bitmap.mark_dirty(60 * 16, 70 * 16);  // pages 60 to 129: three words
  bitmap.mark_bit(131);
  bitmap.mark_bit(199);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  const auto collect = [&](std::uint64_t offset, std::uint64_t size) {
    ranges.emplace_back(offset, size);
  };
  bitmap.drain_ranges(collect);
  EXPECT_THAT(ranges, ElementsAre(Pair(960, 1120), Pair(131 * 16, 16), Pair(199 * 16, 11)));
  ranges.clear();
  bitmap.mark_dirty(0, kMax);
  bitmap.drain_ranges(collect);
  EXPECT_THAT(ranges, ElementsAre(Pair(0, 200 * 16 - 5)));
  bitmap.drain_ranges([](std::uint64_t, std::uint64_t) { ADD_FAILURE(); });
}

TEST(AtomicBitmapTest, MovesTakeTheMarksAlong) {
  AtomicBitmap first(100 * kPageSize);
  first.mark_bit(99);
  AtomicBitmap second(std::move(first));
  EXPECT_TRUE(second.bit(99));
  first.mark_dirty(0, kMax);  // NOLINT(bugprone-use-after-move): must not touch what is gone
  EXPECT_EQ(first.size(), 0u);
  first = std::move(second);
  EXPECT_TRUE(first.bit(99));
  EXPECT_EQ(second.size(), 0u);  // NOLINT(bugprone-use-after-move)
}

TEST(AtomicBitmapTest, EnlargeNeverShrinks) {
  AtomicBitmap bitmap(100 * kPageSize);
  bitmap.mark_bit(99);
  bitmap.enlarge(kPageSize);
  EXPECT_EQ(bitmap.byte_size(), 100 * kPageSize);
  bitmap.enlarge(100 * kPageSize + 1);
  EXPECT_EQ(bitmap.size(), 101u);
  EXPECT_TRUE(bitmap.bit(99));
  EXPECT_FALSE(bitmap.bit(100));
}

TEST(BitmapSliceTest, BasesAddUpAndWrap) {
  AtomicBitmap bitmap(16 * kPageSize);
  const BitmapSlice nested = bitmap.slice_at(2 * kPageSize).slice_at(3 * kPageSize);
  EXPECT_EQ(nested.base(), 5 * kPageSize);
  nested.mark_dirty(kPageSize, 1);
  EXPECT_TRUE(bitmap.bit(6));
  EXPECT_TRUE(nested.dirty_at(kPageSize));
  // Past the end on the way, and back: the sum counts.
  nested.slice_at(kMax - kPageSize + 1).mark_dirty(0, 1);
  EXPECT_TRUE(bitmap.bit(4));
}

TEST(BitmapSliceTest, SharedSlicesKeepTheBitmap) {
  auto bitmap = std::make_shared<AtomicBitmap>(16 * kPageSize);
  const std::weak_ptr<AtomicBitmap> alive = bitmap;
  {
    const SharedBitmapSlice slice = SharedBitmapSlice(std::move(bitmap)).slice_at(kPageSize);
    EXPECT_FALSE(alive.expired());
    slice.mark_dirty(0, 1);
    EXPECT_TRUE(alive.lock()->bit(1));
  }
  EXPECT_TRUE(alive.expired());
}

TEST(OptionalTrackerTest, ForwardsWhenThereIsOne) {
  AtomicBitmap bitmap(16 * kPageSize);
  const OptionalTracker<BitmapSlice> with(bitmap.slice_at(kPageSize)), without;
  with.slice_at(kPageSize).mark_dirty(0, 1);
  without.slice_at(kPageSize).mark_dirty(0, 1);
  EXPECT_TRUE(with.dirty_at(kPageSize));
  EXPECT_FALSE(without.dirty_at(kPageSize));
  EXPECT_THAT(bitmap.get_and_reset(), ElementsAre(0b100));
}

TEST(ExternalBitmapTest, MarksGoToTheWordsOfTheCaller) {
  const auto bitmap = std::make_shared<ExternalBitmap>();
  const ExternalBitmapSlice slice(bitmap, 64 * kPageSize);
  slice.mark_dirty(0, 1);  // there are no words yet
  EXPECT_FALSE(slice.dirty_at(0));

  std::vector<std::uint64_t> first(2), second(1);
  bitmap->replace(first);
  EXPECT_EQ(bitmap->size(), 128u);
  slice.mark_dirty(kPageSize, 2 * kPageSize);
  EXPECT_THAT(first, ElementsAre(0, 0b110));
  EXPECT_TRUE(slice.dirty_at(kPageSize));

  bitmap->replace(second);
  slice.mark_dirty(0, kPageSize);  // past the end of the new ones
  bitmap->mark_dirty(0, kPageSize);
  EXPECT_THAT(first, ElementsAre(0, 0b110));
  EXPECT_THAT(second, ElementsAre(1));
  bitmap->replace({});
  bitmap->mark_dirty(kPageSize, kMax);
  EXPECT_THAT(second, ElementsAre(1));
}

TEST(ExternalBitmapTest, NoMarkGoesToWordsThatWereReplaced) {
  const auto bitmap = std::make_shared<ExternalBitmap>();
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::uint64_t page = 0; !stop; page = (page + 1) % 256) {
      bitmap->mark_dirty(page * kPageSize, kPageSize);
    }
  });
  for (int round = 0; round < 300; ++round) {
    // Freed as soon as it is replaced: the sanitizers see a late mark.
    auto words = std::make_unique<std::vector<std::uint64_t>>(4);
    bitmap->replace(*words);
    std::this_thread::yield();
    bitmap->replace({});
    const auto before = *words;
    std::this_thread::yield();
    ASSERT_EQ(*words, before);
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace engram::mapping
