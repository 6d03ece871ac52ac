// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/bit_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

namespace engram::image {
namespace {

using Runs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// Of more than the 64 KiB in which a bitmap is read; runs of all lengths, across words, too.
std::vector<std::byte> random_bitmap(std::mt19937_64& random) {
  std::vector<std::byte> bytes(1 + random() % (random() % 8 == 0 ? 200'000 : 60));
  const std::uint64_t kind = random() % 3;
  for (auto& byte : bytes) {
    const std::uint64_t draw = random();
    byte = static_cast<std::byte>(kind == 0                           ? draw
                                  : draw % (kind == 1 ? 9 : 300) == 0 ? 0x3C
                                                                      : 0xFF);
  }
  return bytes;
}

/// The slow and obvious twin: bit by bit.
Runs runs_of(Bytes bytes, std::uint64_t first, std::uint64_t end) {
  Runs runs;
  for (std::uint64_t bit = first; bit < end; ++bit) {
    const auto byte = std::to_integer<unsigned>(bytes[static_cast<std::size_t>(bit / 8)]);
    if ((byte >> bit % 8 & 1U) == 0) continue;
    if (runs.empty() || runs.back().first + runs.back().second != bit) runs.emplace_back(bit, 0);
    ++runs.back().second;
  }
  return runs;
}

TEST(BitRuns, AgreeWithTheirSlowTwin) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    const auto bytes = random_bitmap(random);
    const auto copy = [&bytes](std::uint64_t offset, std::uint64_t length) {
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
      return std::vector(begin, begin + static_cast<std::ptrdiff_t>(length));
    };
    const std::uint64_t end = bytes.size() * 8 - random() % 8;
    const std::uint64_t first = random() % end;
    Runs found;
    ASSERT_EQ(find_runs(copy, first, end,
                        [&found](std::uint64_t at, std::uint64_t count) {
                          found.emplace_back(at, count);
                        }),
              end);
    ASSERT_EQ(found, runs_of(bytes, first, end));
    ASSERT_EQ(count_runs(copy, first, end), found.size());
  }
}

TEST(BitRuns, EndWhereTheBitmapCannotBeRead) {
  const std::vector<std::byte> all(64 * kKiB * 3, std::byte{0xFF});
  for (const std::uint64_t hole : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{13},
                                   64 * kKiB - 1, 64 * kKiB, 64 * kKiB + 10}) {
    const auto copy = [&](std::uint64_t offset, std::uint64_t length) {
      const std::uint64_t there = hole < offset ? 0 : std::min(length, hole - offset);
      return std::vector(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(there));
    };
    Runs found;
    const std::uint64_t known = find_runs(
        copy, 3, all.size() * 8,
        [&found](std::uint64_t at, std::uint64_t count) { found.emplace_back(at, count); });
    EXPECT_EQ(known, std::max<std::uint64_t>(3, hole * 8));
    Runs wanted;
    if (hole > 0) wanted.emplace_back(3, hole * 8 - 3);
    EXPECT_EQ(found, wanted);
    EXPECT_EQ(count_runs(copy, 3, all.size() * 8), found.size());
  }
}

}  // namespace
}  // namespace engram::image
