// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Failures and misuse of mappings that none of the originals tests.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "mapping/guarded.h"
#include "test_mapped.h"

namespace engram::mapping {
namespace {

using test::begin_of;
using test::byte_at;
using test::numbered_pages;
using test::open_file;
using test::page;
using test::rights_of;
using test::TempFile;

TEST(ST07, FailedTransitionGivesTheMappingBack) {
  const TempFile file(numbered_pages(1));
  NativeRange range;
  {
    auto mapping =
        Options(page()).backing(open_file(file, false)).share(Share::shared).map<ReadOnly>();
    ASSERT_TRUE(mapping);
    range = mapping->native_range();
    auto writable = std::move(*mapping).make_mut();
    ASSERT_FALSE(writable);
    EXPECT_EQ(writable.error().error.code, MemoryErrc::os);
    EXPECT_EQ(writable.error().error.os_errno, EACCES);
    EXPECT_TRUE(mapping->empty());
    const auto& returned = writable.error().self;
    EXPECT_EQ(returned.native_range(), range);
    EXPECT_EQ(byte_at(returned.slice(), 0), 1);
  }
  EXPECT_EQ(rights_of(range), "");
}

TEST(ST08, FailedAdviceLeavesNothingBehind) {
  const auto window = Options(page()).map<NoAccess>();
  ASSERT_TRUE(window);
  const auto address = reinterpret_cast<std::uintptr_t>(window->native_range().address);
  // In place of a page of ours, so that the test knows where the new mapping was. Wiping at a fork
  // is for private anonymous memory (madvise(2)).
  auto mapping = Options(page())
                     .share(Share::shared)
                     .placement(FixedReplace{address, FixedReplace::Owner::me})
                     .wipe_on_fork()
                     .map<ReadWrite>();
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().os_errno, EINVAL);
  EXPECT_EQ(rights_of(window->native_range()), "");
}

TEST(ST10, SplitsThatAreRefused) {
  auto mapping = Options(2 * page()).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  for (const std::uint64_t at : {std::uint64_t{0}, page() + 1, 2 * page(), 3 * page()}) {
    EXPECT_EQ(mapping->split_off(at).error().code, MemoryErrc::invalid_offset) << at;
    EXPECT_EQ(mapping->split_to(at).error().code, MemoryErrc::invalid_offset) << at;
  }
  EXPECT_EQ(mapping->size(), 2 * page());
}

TEST(ST10, MergeOfDiscontinuousFileOffsets) {
  const TempFile file(numbered_pages(3));
  const File opened = open_file(file);
  auto window = Options(2 * page()).map<NoAccess>();
  ASSERT_TRUE(window);
  const NativeRange range = std::move(*window).release();
  const auto place = [&](std::uint64_t index, std::uint64_t offset) {
    const auto address = reinterpret_cast<std::uintptr_t>(range.address) + index * page();
    return Options(page())
        .backing(opened, FileOffset(offset))
        .placement(FixedReplace{address, FixedReplace::Owner::me})
        .map<ReadOnly>()
        .value();
  };
  auto first = place(0, 0), wrong = place(1, 2 * page());
  auto merged = first.merge(std::move(wrong));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().error.code, MemoryErrc::backing_mismatch);
  EXPECT_EQ(merged.error().error.address, 2 * page());
  EXPECT_EQ(merged.error().error.expected, page());
  static_cast<void>(std::move(merged.error().self).release());
  ASSERT_TRUE(first.merge(place(1, page())));
  EXPECT_EQ(byte_at(first.slice(), page()), 2);
}

TEST(ST10, SplitOfHugePagesAtABasePage) {
  const auto huge = PageSize::of_bytes(2 * kMiB).value();
  auto mapping = Options(4 * kMiB).page(huge).map<ReadWrite>();
  if (!mapping) GTEST_SKIP() << "no huge pages: " << to_string(mapping.error());
  EXPECT_EQ(mapping->split_off(page()).error().code, MemoryErrc::invalid_offset);
  EXPECT_TRUE(mapping->split_off(2 * kMiB));
}

TEST(ST15, ChildHasNoRegionThatIsNotForked) {
  const auto mapping = Options(page()).dont_fork().map<ReadWrite>();
  const auto inherited = Options(page()).map<ReadWrite>();
  ASSERT_TRUE(mapping && inherited);
  const auto readable = [](const auto& region) {
    std::array<std::byte, 8> bytes = {};
    return syscall_copy_in(bytes, {begin_of(region), bytes.size()}) == bytes.size();
  };
  ASSERT_TRUE(readable(*mapping));
  const pid_t child = ::fork();
  if (child == 0) ::_exit((readable(*mapping) ? 1 : 0) + (readable(*inherited) ? 2 : 0));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

TEST(ST17, DataCacheLinesAreCountedFromTheFirstToTheLast) {
  std::vector<std::uint64_t> lines;
  const auto count =
      for_each_cache_line(60, 8, 64, [&](std::uint64_t line) { lines.push_back(line); });
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(lines, (std::vector<std::uint64_t>{0, 64}));
  const std::size_t line = data_cache_line();
  if (line == 0) GTEST_SKIP() << "this processor has no known flush instruction";
  const auto mapping = Options(page()).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(flush_data_cache(begin_of(*mapping) + line - 4, 8).value(), 2u);
  EXPECT_EQ(flush_data_cache(begin_of(*mapping), line).value(), 1u);
}

}  // namespace
}  // namespace engram::mapping
