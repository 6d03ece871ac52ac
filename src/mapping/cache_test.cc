// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/cache.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/test_file.h"
#include "mapping/mapping.h"

namespace engram::mapping {
namespace {

TEST(CacheLines, EveryLineOfTheRangeIsVisitedOnce) {
  for (std::uint64_t address = 0; address < 130; ++address) {
    for (std::uint64_t size = 0; size < 200; ++size) {
      std::vector<std::uint64_t> lines;
      const std::size_t count = for_each_cache_line(
          address, size, 64, [&](std::uint64_t line) { lines.push_back(line); });
      ASSERT_EQ(count, lines.size());
      std::vector<std::uint64_t> expected;
      for (std::uint64_t line = 0; line < address + size; line += 64) {
        if (size != 0 && line + 64 > address) expected.push_back(line);
      }
      ASSERT_EQ(lines, expected) << address << " " << size;
    }
  }
}

TEST(CacheLines, TheLastLineOfTheAddressSpace) {
  EXPECT_EQ(for_each_cache_line(UINT64_MAX - 9, 10, 64, [](std::uint64_t) {}), 1u);
}

TEST(FlushDataCache, ALostPageIsAnError) {
  if (data_cache_line() == 0) GTEST_SKIP() << "no known flush instruction";
  const std::uint64_t page = PageSize::base().bytes();
  const test::TempFile file(std::vector<std::byte>(2 * page));
  const auto mapping = Options(2 * page).backing(File::open(file.path()).value()).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  EXPECT_TRUE(mapping->flush_dcache(mapping->all()));
  EXPECT_EQ(mapping->flush_dcache({1, 2 * page}).error().code, MemoryErrc::out_of_bounds);
  ASSERT_TRUE(file.cut(page));
  EXPECT_TRUE(mapping->flush_dcache({0, page}));
  EXPECT_EQ(mapping->flush_dcache(mapping->all()).error().code, MemoryErrc::source_truncated);
}

}  // namespace
}  // namespace engram::mapping
