// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/start_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace engram::guest::detail {
namespace {

constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();

/// Ascending numbers: evenly spread, in crowds, or all in one place but for two.
std::vector<std::uint64_t> some_numbers(std::mt19937_64& random, std::size_t count) {
  std::vector<std::uint64_t> numbers;
  const std::uint64_t kind = random() % 4;
  const std::uint64_t shift = random() % 44;
  std::uint64_t at = random() >> random() % 64;
  for (std::size_t i = 0; i < count; ++i) {
    numbers.push_back(at);
    at += 1 + (random() >> 44U << (kind == 1 && random() % 50 != 0 ? 0 : shift));
  }
  if (kind == 2) numbers.insert(numbers.end(), {0, kLast});
  if (kind == 3) numbers.push_back(kLast - 1);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

/// The place of the last number that is not above `key`; all of them if there is none.
std::size_t slow_search(const std::vector<std::uint64_t>& numbers, std::uint64_t key) {
  return static_cast<std::size_t>(std::upper_bound(numbers.begin(), numbers.end(), key) -
                                  numbers.begin()) -
         1;
}

void check(const std::vector<std::uint64_t>& numbers, const StartIndex& index, std::uint64_t key) {
  const auto span = index.view().around(key, numbers.size());
  const std::size_t first = span.first;
  const std::size_t count = span.count;
  ASSERT_GT(count, 0U);
  ASSERT_LE(count, StartIndex::kBlock);
  ASSERT_LE(first + count, numbers.size());
  if (key < numbers.front()) return;
  const std::size_t place = slow_search(numbers, key);
  ASSERT_GE(place, first);
  ASSERT_LT(place, first + count);
  const auto found =
      first + last_not_above(count, key, [&](std::size_t i) { return numbers[first + i]; });
  ASSERT_EQ(found, place);
}

TEST(StartIndex, AgreesWithABinarySearch) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 400; ++round) {
    const auto numbers = some_numbers(random, 1 + random() % (round % 8 == 0 ? 20'000 : 70));
    StartIndex made(numbers.size(), [&numbers](std::size_t i) { return numbers[i]; });
    const StartIndex index = std::move(made);
    for (int i = 0; i < 500; ++i) {
      const std::uint64_t number = numbers[random() % numbers.size()];
      for (const std::uint64_t key : {number, number - 1, number + 1, number + random() % kLast}) {
        check(numbers, index, key);
      }
    }
    for (const std::uint64_t key : {std::uint64_t{0}, kLast}) check(numbers, index, key);
  }
}

}  // namespace
}  // namespace engram::guest::detail
