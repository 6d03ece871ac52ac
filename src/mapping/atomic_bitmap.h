// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bitmaps of dirty pages: one bit a page, marked by writers and harvested by somebody else at the
// same time, without a lock.
//
//   AtomicBitmap     owns its words
//   ExternalBitmap   has them in the caller's memory, such as the log that a vhost-user front-end
//                    shares with its back-ends; they can be replaced while writers run
//   BitmapSlice, SharedBitmapSlice, ExternalBitmapSlice   the trackers that a view carries
//
// A page has a power of two of bytes, so that the page of an offset is a shift.
//
// A mark is always a sequentially consistent read-modify-write, even of a bit that is set already.
// To look first and skip it loses pages: the load may be satisfied before the bytes that the mark
// is for are visible to a harvester that clears the bit and copies the page in between.
//
// A harvest is no cut through time: each word is taken at once, but one after the other. What was
// marked while it ran is in this harvest or in the next; the last one needs stopped writers.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/units.h"
#include "mapping/dirty.h"
#include "mapping/memory_error.h"
#include "mapping/writer_first_mutex.h"

namespace engram::mapping {

inline constexpr std::uint64_t kPagesPerWord = 64;

namespace detail {

static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

/// Operations on words that several threads share. Offsets beyond the last bit are dropped, ranges
/// that run past it are cut.
class BitmapWords {
 public:
  BitmapWords() = default;
  BitmapWords(std::uint64_t* words, std::uint64_t bits, unsigned page_shift)
      : words_(words), bits_(bits), page_shift_(page_shift) {}

  [[nodiscard]] std::uint64_t bits() const { return bits_; }
  [[nodiscard]] std::uint64_t words() const { return (bits_ + kPagesPerWord - 1) / kPagesPerWord; }
  [[nodiscard]] unsigned page_shift() const { return page_shift_; }

  void mark_range(std::uint64_t offset, std::uint64_t size) const {
    for_each_mask(offset, size, [](auto word, std::uint64_t mask) { word.fetch_or(mask); });
  }
  void reset_range(std::uint64_t offset, std::uint64_t size) const {
    for_each_mask(offset, size, [](auto word, std::uint64_t mask) { word.fetch_and(~mask); });
  }
  void mark_bit(std::uint64_t bit) const {
    if (bit < bits_) word(bit / kPagesPerWord).fetch_or(mask_of(bit));
  }
  void reset_bit(std::uint64_t bit) const {
    if (bit < bits_) word(bit / kPagesPerWord).fetch_and(~mask_of(bit));
  }
  [[nodiscard]] bool bit(std::uint64_t bit) const {
    return bit < bits_ && (word(bit / kPagesPerWord).load() & mask_of(bit)) != 0;
  }
  [[nodiscard]] bool dirty_at(std::uint64_t offset) const { return bit(offset >> page_shift_); }
  [[nodiscard]] std::uint64_t load(std::uint64_t index) const { return word(index).load(); }

  /// The marks of a word, which is clean then. A clean word is only looked at: it stays in the
  /// caches of those who mark, and a mark that comes too late for this is there the next time.
  [[nodiscard]] std::uint64_t take(std::uint64_t index) const {
    if (word(index).load(std::memory_order_relaxed) == 0) return 0;
    return word(index).exchange(0);
  }
  void reset() const {
    for (std::uint64_t index = 0; index < words(); ++index) word(index).store(0);
  }

 private:
  [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::uint64_t index) const {
    return std::atomic_ref(words_[index]);
  }
  static constexpr std::uint64_t mask_of(std::uint64_t bit) {
    return std::uint64_t{1} << bit % kPagesPerWord;
  }

  /// One call for each word that the range touches, with the bits of the range in it.
  template <class Visitor>
  void for_each_mask(std::uint64_t offset, std::uint64_t size, Visitor visit) const {
    const std::uint64_t first = offset >> page_shift_;
    if (size == 0 || first >= bits_) return;
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - offset;
    const std::uint64_t last_offset = offset + std::min(size - 1, room);
    const std::uint64_t last = std::min(last_offset >> page_shift_, bits_ - 1);
    const std::uint64_t last_word = last / kPagesPerWord;
    std::uint64_t mask = ~std::uint64_t{0} << first % kPagesPerWord;
    for (std::uint64_t index = first / kPagesPerWord; index < last_word; ++index) {
      visit(word(index), mask);
      mask = ~std::uint64_t{0};
    }
    visit(word(last_word), mask & ~std::uint64_t{0} >> (kPagesPerWord - 1 - last % kPagesPerWord));
  }

  std::uint64_t* words_ = nullptr;
  std::uint64_t bits_ = 0;
  unsigned page_shift_ = 0;
};

}  // namespace detail

/// A tracker that points to a bitmap by `Pointer` and begins at an offset of it. Parts of it add
/// their offsets modulo 2^64: a sum that wraps can mark a page too many, never one too few.
template <class Pointer>
class BasicBitmapSlice {
 public:
  /// `bitmap` is not null; a plain pointer must stay valid as long as the slice is used.
  explicit BasicBitmapSlice(Pointer bitmap, std::uint64_t base = 0)
      : bitmap_(std::move(bitmap)), base_(base) {
    assert(bitmap_ != nullptr);
  }

  void mark_dirty(std::uint64_t offset, std::uint64_t size) const {
    bitmap_->mark_dirty(base_ + offset, size);
  }
  [[nodiscard]] bool dirty_at(std::uint64_t offset) const {
    return bitmap_->dirty_at(base_ + offset);
  }
  [[nodiscard]] BasicBitmapSlice slice_at(std::uint64_t offset) const {
    return BasicBitmapSlice(bitmap_, base_ + offset);
  }

  [[nodiscard]] const Pointer& bitmap() const { return bitmap_; }
  [[nodiscard]] std::uint64_t base() const { return base_; }

 private:
  Pointer bitmap_;
  std::uint64_t base_;
};

class AtomicBitmap;
class ExternalBitmap;
/// Borrows the bitmap: two words, as cheap as a pointer.
using BitmapSlice = BasicBitmapSlice<AtomicBitmap*>;
/// Keeps the bitmap alive.
using SharedBitmapSlice = BasicBitmapSlice<std::shared_ptr<AtomicBitmap>>;
using ExternalBitmapSlice = BasicBitmapSlice<std::shared_ptr<ExternalBitmap>>;

/// Everything but enlarge(), moves and destruction may run in any number of threads at once.
class AtomicBitmap {
 public:
  /// Clean, for ceil(bytes / page_size) pages. `page_size` is a power of two: asserted.
  /// Throws std::bad_alloc or std::length_error.
  explicit AtomicBitmap(std::uint64_t bytes, std::uint64_t page_size = kPageSize);
  AtomicBitmap(const AtomicBitmap&) = delete;
  AtomicBitmap& operator=(const AtomicBitmap&) = delete;
  AtomicBitmap(AtomicBitmap&& other) noexcept;
  AtomicBitmap& operator=(AtomicBitmap&& other) noexcept;
  ~AtomicBitmap() = default;
  /// What is marked, word by word.
  [[nodiscard]] AtomicBitmap clone() const;

  /// Pages.
  [[nodiscard]] std::uint64_t size() const { return view_.bits(); }
  [[nodiscard]] std::uint64_t byte_size() const { return bytes_; }
  [[nodiscard]] std::uint64_t page_size() const { return std::uint64_t{1} << view_.page_shift(); }

  /// Marks the pages that [offset, offset + size) touches.
  void mark_dirty(std::uint64_t offset, std::uint64_t size) { view_.mark_range(offset, size); }
  void mark_bit(std::uint64_t page) { view_.mark_bit(page); }
  /// Cleans every page that the range touches.
  void reset_range(std::uint64_t offset, std::uint64_t size) { view_.reset_range(offset, size); }
  void reset_bit(std::uint64_t page) { view_.reset_bit(page); }
  void reset() { view_.reset(); }

  [[nodiscard]] bool dirty_at(std::uint64_t offset) const { return view_.dirty_at(offset); }
  [[nodiscard]] bool bit(std::uint64_t page) const { return view_.bit(page); }

  /// Takes the marks: calls visit(first_page, word) for each word that has some, in ascending
  /// order; bit i of the word is page first_page + i.
  template <class Visitor>
  void drain(Visitor&& visit) {
    for (std::uint64_t index = 0; index < view_.words(); ++index) {
      if (const std::uint64_t word = view_.take(index)) visit(index * kPagesPerWord, word);
    }
  }
  /// The same as visit(offset, size) for each run of dirty pages, in bytes, cut at byte_size().
  template <class Visitor>
  void drain_ranges(Visitor&& visit);
  /// The same as words.
  [[nodiscard]] std::vector<std::uint64_t> get_and_reset();

  /// Adds clean pages until there are enough for `bytes`; nothing if there are already. The caller
  /// keeps everybody else out. Throws as the constructor; the bitmap is unchanged then.
  void enlarge(std::uint64_t bytes);

  [[nodiscard]] BitmapSlice slice_at(std::uint64_t offset) { return BitmapSlice(this, offset); }

 private:
  explicit AtomicBitmap(const AtomicBitmap& other, std::uint64_t bytes);

  std::uint64_t bytes_ = 0;
  std::vector<std::uint64_t> words_;
  detail::BitmapWords view_;
};

template <class Visitor>
void AtomicBitmap::drain_ranges(Visitor&& visit) {
  std::uint64_t run_start = 0, run_end = 0;  // pages; empty at first
  const auto report = [&] {
    if (run_start == run_end) return;
    const std::uint64_t start = run_start << view_.page_shift();
    const std::uint64_t whole = (run_end - run_start) << view_.page_shift();
    visit(start, std::min(whole, bytes_ - start));
  };
  drain([&](std::uint64_t first_page, std::uint64_t word) {
    while (word != 0) {
      const auto start = static_cast<unsigned>(std::countr_zero(word));
      const auto length = static_cast<unsigned>(std::countr_one(word >> start));
      if (first_page + start != run_end) {
        report();
        run_start = first_page + start;
      }
      run_end = first_page + start + length;
      const unsigned done = start + length;
      word = done == kPagesPerWord ? 0 : word >> done << done;
    }
  });
  report();
}

/// A bitmap whose words somebody else owns: bit i of word w is page 64 * w + i. Marks are dropped
/// as long as there are none. All members may run in any number of threads at once; a mark waits
/// while replace() runs.
///
/// The words must stay addressable: a mark is not guarded against a log file that is cut.
class ExternalBitmap {
 public:
  /// `page_size` is a power of two: asserted.
  explicit ExternalBitmap(std::uint64_t page_size = kPageSize);
  ExternalBitmap(const ExternalBitmap&) = delete;
  ExternalBitmap& operator=(const ExternalBitmap&) = delete;

  /// From now on marks go to these words (none: nowhere) and, when this has returned, none goes to
  /// the words before, which may be unmapped then. The marks in them are not carried over.
  void replace(std::span<std::uint64_t> words);

  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] std::uint64_t page_size() const { return std::uint64_t{1} << page_shift_; }
  void mark_dirty(std::uint64_t offset, std::uint64_t size);
  [[nodiscard]] bool dirty_at(std::uint64_t offset) const;

 private:
  const unsigned page_shift_;
  mutable WriterFirstMutex mutex_;  // shared to use view_, alone to replace it
  detail::BitmapWords view_;
};

static_assert(DirtyTracker<BitmapSlice> && DirtyTracker<SharedBitmapSlice> &&
              DirtyTracker<ExternalBitmapSlice>);

}  // namespace engram::mapping
