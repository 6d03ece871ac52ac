// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The runs of set bits in a bitmap, lowest bit of a byte first.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/units.h"

namespace engram::image {

/// Finds the runs of set bits in words that come one after the other. `visit(first, count)` is
/// called for each run when its end is known.
template <class Visit>
class BitRuns {
 public:
  /// The first word begins with bit `first`.
  explicit BitRuns(Visit visit, std::uint64_t first = 0) : visit_(std::move(visit)), at_(first) {}

  void add(std::uint64_t word) {
    for (unsigned bit = 0; bit < 64;) {
      const std::uint64_t rest = (open_ ? ~word : word) >> bit;
      if (rest == 0) break;  // the run, or the gap, goes on to the next word
      bit += static_cast<unsigned>(std::countr_zero(rest));
      turn(at_ + bit);
    }
    at_ += 64;
  }
  void finish() {
    if (open_) turn(at_);
  }

 private:
  /// The first bit that differs from the one before is `bit`.
  void turn(std::uint64_t bit) {
    if (open_) visit_(first_, bit - first_);
    first_ = bit;
    open_ = !open_;
  }

  Visit visit_;
  std::uint64_t at_ = 0;  // the first bit of the next word
  std::uint64_t first_ = 0;
  bool open_ = false;
};

/// Word `index` of `bytes`, which may end inside it: what is not there is 0.
inline std::uint64_t padded_word(Bytes bytes, std::size_t index) {
  std::uint64_t word = 0;
  const auto rest = bytes.subspan(index * sizeof word);
  std::memcpy(&word, rest.data(), std::min(rest.size(), sizeof word));
  return word;
}

/// Those bits of the word that begins with bit `at` that lie in [first, end).
constexpr std::uint64_t bits_within(std::uint64_t at, std::uint64_t first, std::uint64_t end) {
  if (end <= at || first >= at + 64) return 0;
  const std::uint64_t low = first > at ? ~std::uint64_t{0} << (first - at) : ~std::uint64_t{0};
  return end - at < 64 ? low & ((std::uint64_t{1} << (end - at)) - 1) : low;
}

/// Calls `visit(word)` for the words with the bits [first, end) of a bitmap, from the one that has
/// bit `first` on; bits outside are 0. `copy(offset, length)` gives bytes of the bitmap as a
/// vector, or fewer if the next one cannot be read: there it ends. Returns the first bit that is
/// not known, or `end`.
template <class Copy, class Visit>
[[nodiscard]] std::uint64_t for_each_word(const Copy& copy, std::uint64_t first, std::uint64_t end,
                                          const Visit& visit) {
  constexpr std::uint64_t kChunk = 64 * kKiB * 8;  // bits
  for (std::uint64_t at = align_down(first, 64); at < end; at += kChunk) {
    const std::uint64_t wanted = (std::min(end - at, kChunk) + 7) / 8;
    const auto bytes = copy(at / 8, wanted);
    const std::uint64_t known = std::min(end, at + bytes.size() * 8);
    for (std::uint64_t word = at; word < known; word += 64) {
      visit(padded_word(bytes, static_cast<std::size_t>((word - at) / 64)) &
            bits_within(word, first, known));
    }
    if (bytes.size() < wanted) return std::max(first, known);
  }
  return end;
}

/// The runs of set bits among the bits [first, end) of a bitmap. Returns the first bit that is not
/// known, or `end`.
template <class Copy, class Visit>
[[nodiscard]] std::uint64_t find_runs(const Copy& copy, std::uint64_t first, std::uint64_t end,
                                      Visit visit) {
  BitRuns<Visit> runs(std::move(visit), align_down(first, 64));
  const std::uint64_t known =
      for_each_word(copy, first, end, [&runs](std::uint64_t word) { runs.add(word); });
  runs.finish();
  return known;
}

/// How many runs find_runs() would find, in a fraction of its time.
template <class Copy>
[[nodiscard]] std::uint64_t count_runs(const Copy& copy, std::uint64_t first, std::uint64_t end) {
  std::uint64_t count = 0;
  std::uint64_t last_bit = 0;  // of the word before
  // What cannot be read has no runs.
  static_cast<void>(for_each_word(copy, first, end, [&](std::uint64_t word) {
    count += static_cast<unsigned>(std::popcount(word & ~(word << 1U | last_bit)));
    last_bit = word >> 63U;
  }));
  return count;
}

}  // namespace engram::image
