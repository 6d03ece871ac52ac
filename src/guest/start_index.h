// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where to look for an address among those at which a million regions start.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "mapping/bulk.h"

namespace engram::guest::detail {

/// The index of the last of `count` ascending numbers that is not above `key`; 0 if all are above.
/// Without a branch on the numbers: a processor that cannot guess which way a search goes would
/// lose more than the search takes.
template <class NumberAt>
[[nodiscard]] inline std::size_t last_not_above(std::size_t count, std::uint64_t key,
                                                NumberAt number_at) {
  std::size_t base = 0;
  while (count > 1) {
    const std::size_t half = count / 2;
    std::size_t all_bits_if_not_above = 0 - static_cast<std::size_t>(number_at(base + half) <= key);
    // Clang finds out what this stands for, and makes the branch that it avoids.
    asm("" : "+r"(all_bits_if_not_above));
    base += all_bits_if_not_above & half;
    count -= half;
  }
  return base;
}

/// Narrows the search among ascending numbers down to at most kBlock of them, so that it waits for
/// main memory once or twice.
///
/// A table by the upper bits of a number says between which two others it lies. It has at most half
/// as many entries as there are numbers, however far apart these are: two to eight share one if
/// they are spread evenly. Of numbers that crowd together more may do so; these are searched by way
/// of every 16th. Together that is at most 2.5 bytes a number.
class StartIndex {
 public:
  static constexpr std::size_t kBlock = 16;

  struct Span {
    std::size_t first = 0, count = 0;
  };

  /// The index without what owns it.
  class View {
   public:
    /// At most kBlock of `count` numbers, among them the last one that is not above `key`; if all
    /// are above, any of them.
    [[nodiscard]] Span around(std::uint64_t key, std::size_t count) const {
      Span span{0, count};
      if (table_ != nullptr) {
        if (key < base_) return {0, 1};
        const auto entry = static_cast<std::size_t>(std::min((key - base_) >> shift_, last_entry_));
        span.first = table_[entry];
        span.count = table_[entry + 1] - span.first + 1;
      }
      return span.count > kBlock ? by_blocks(key, span, count) : span;
    }

   private:
    friend StartIndex;

    [[nodiscard]] Span by_blocks(std::uint64_t key, Span span, std::size_t count) const {
      const std::size_t first = span.first / kBlock;
      const std::size_t last = (span.first + span.count - 1) / kBlock;
      const std::size_t block =
          first + last_not_above(last - first + 1, key,
                                 [this, first](std::size_t i) { return blocks_[first + i]; });
      return {block * kBlock, std::min(kBlock, count - block * kBlock)};
    }

    const std::uint32_t* table_ = nullptr;
    const std::uint64_t* blocks_ = nullptr;
    std::uint64_t base_ = 0;
    std::uint64_t last_entry_ = 0;
    unsigned shift_ = 0;
  };

  /// `number_at(i)` is the i-th of `count` numbers, each above the one before.
  template <class NumberAt>
  StartIndex(std::size_t count, NumberAt number_at) {
    if (count <= kBlock) return;
    blocks_.reserve((count + kBlock - 1) / kBlock);
    for (std::size_t i = 0; i < count; i += kBlock) blocks_.push_back(number_at(i));
    view_.blocks_ = blocks_.data();
    if (count - 1 > std::numeric_limits<std::uint32_t>::max()) return;
    make_table(count, number_at);
  }
  StartIndex(StartIndex&&) = default;  // arrays that are moved stay where they are
  StartIndex& operator=(StartIndex&&) = default;
  StartIndex(const StartIndex&) = delete;
  StartIndex& operator=(const StartIndex&) = delete;
  ~StartIndex() = default;

  /// Good as long as the index, also when that has been moved.
  [[nodiscard]] const View& view() const { return view_; }

 private:
  /// An entry has the last number that is not above the lowest one that belongs to the entry.
  template <class NumberAt>
  void make_table(std::size_t count, NumberAt number_at) {
    const std::uint64_t base = number_at(0);
    const std::uint64_t span = number_at(count - 1) - base;
    const auto bits = static_cast<int>(std::bit_width(count / 2)) - 1;
    const int shift = std::max(static_cast<int>(std::bit_width(span)) - bits, 0);
    view_.base_ = base;
    view_.shift_ = static_cast<unsigned>(shift);
    view_.last_entry_ = span >> view_.shift_;
    table_.assign(static_cast<std::size_t>(view_.last_entry_) + 2, 0);
    for (std::size_t i = 1; i < count; ++i) {
      const std::uint64_t first_entry = ((number_at(i) - base - 1) >> view_.shift_) + 1;
      table_[static_cast<std::size_t>(first_entry)] = static_cast<std::uint32_t>(i);
    }
    // What no number begins in has what the entry before it has.
    for (std::size_t i = 1; i < table_.size(); ++i) table_[i] = std::max(table_[i - 1], table_[i]);
    table_.back() = static_cast<std::uint32_t>(count - 1);
    view_.table_ = table_.data();
  }

  mapping::BulkVector<std::uint32_t> table_;
  mapping::BulkVector<std::uint64_t> blocks_;
  View view_;
};

}  // namespace engram::guest::detail
