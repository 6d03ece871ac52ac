// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/page_size.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/units.h"

namespace engram::mapping {
namespace {

TEST(PageSize, IsAPowerOfTwo) {
  EXPECT_EQ(PageSize::of_bytes(2 * kMiB)->log2(), 21u);
  EXPECT_EQ(PageSize::of_bytes(2 * kMiB)->bytes(), 2 * kMiB);
  EXPECT_EQ(PageSize::of_bytes(std::uint64_t{1} << 63)->log2(), 63u);
  for (const std::uint64_t bytes : {std::uint64_t{0}, 3 * kMiB}) {
    const auto size = PageSize::of_bytes(bytes);
    ASSERT_FALSE(size);
    EXPECT_EQ(size.error().code, MemoryErrc::unknown_page_size);
    EXPECT_EQ(size.error().expected, bytes);
  }
  EXPECT_EQ(PageSize::base().bytes(), static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
}

TEST(PageSizes, SingleNeedsExactlyOne) {
  PageSizes sizes;
  EXPECT_EQ(sizes.single().error().code, MemoryErrc::invalid_size);
  const PageSize small = *PageSize::of_bytes(4 * kKiB), large = *PageSize::of_bytes(kGiB);
  sizes.insert(large);
  EXPECT_EQ(sizes.single().value(), large);
  sizes.insert(small);
  EXPECT_EQ(sizes.single().error().expected, 2u);
  EXPECT_EQ(sizes.list(), (std::vector<PageSize>{small, large}));
  EXPECT_FALSE(sizes.contains(*PageSize::of_bytes(8 * kKiB)));
}

TEST(PageSizes, NamesThatAreNotSizesArePassedOver) {
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("engram-pages-" + std::to_string(::getpid()));
  for (const char* name :
       {"hugepages-2048kB", "hugepages-1048576kB", "hugepages-3kB", "hugepages-kB", "hugepages-",
        "hugepages-12xkB", "hugepages-99999999999999999999kB", "hugepages-36028797018963968kB"}) {
    std::filesystem::create_directories(directory / name);
  }
  PageSizes expected;
  expected.insert(PageSize::base());
  expected.insert(*PageSize::of_bytes(2 * kMiB));
  expected.insert(*PageSize::of_bytes(kGiB));
  EXPECT_EQ(supported_page_sizes(directory), expected);
  std::filesystem::remove_all(directory);
  EXPECT_EQ(supported_page_sizes(directory).single().value(), PageSize::base());
}

}  // namespace
}  // namespace engram::mapping
