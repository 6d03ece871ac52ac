// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Arenas: a window of address space with mappings placed into it.

#include <gtest/gtest.h>

#include "test_mapped.h"

namespace engram::mapping {
namespace {

using test::page;

TEST(XT01, AddAndRemove) {
  auto arena = Arena::create(0x40000);
  ASSERT_TRUE(arena);
  ASSERT_TRUE(arena->place<ReadWrite>(0, Options(4 * page())));
  EXPECT_TRUE(arena->remove({0, page()}));
  EXPECT_TRUE(arena->remove({0, 2 * page()}));
  EXPECT_EQ(test::rights_of({arena->native_range().address, 2 * page()}), "---p");
  EXPECT_TRUE(arena->mutable_slice({2 * page(), 2 * page()}));
}

TEST(XT02, Refusals) {
  auto arena = Arena::create(page());
  ASSERT_TRUE(arena);
  EXPECT_EQ(arena->place<ReadWrite>(page() + 1, Options(page())).error().code,
            MemoryErrc::not_page_aligned);
  EXPECT_EQ(arena->place<ReadWrite>(0, Options(page() + 1)).error().code,
            MemoryErrc::out_of_bounds);
  EXPECT_TRUE(arena->place<ReadWrite>(0, Options(0x100)));
}

TEST(XT03, Overlaps) {
  auto arena = Arena::create(12 * page());
  ASSERT_TRUE(arena);
  const auto add = [&](std::uint64_t first, std::uint64_t count) {
    const auto placed = arena->place<ReadWrite>(first * page(), Options(count * page()));
    ASSERT_TRUE(placed) << first;
    EXPECT_TRUE(placed->is_zero().value()) << "the new mapping is not there";
    placed->fill(std::byte{0xAA});
  };
  add(4, 4);
  add(2, 3);   // over the front
  add(7, 3);   // over the back
  add(1, 10);  // over several
  EXPECT_TRUE(arena->remove({5 * page(), 3 * page()}));
  EXPECT_TRUE(arena->remove({4 * page(), 2 * page()}));
  EXPECT_TRUE(arena->remove({0, 12 * page()}));
  add(0, 1);
  EXPECT_TRUE(arena->remove({0, page() - 1}));
  EXPECT_EQ(test::rights_of(arena->native_range()), "---p");
}

TEST(XT04, RangesInsideAndOutside) {
  auto arena = Arena::create(4 * page());
  ASSERT_TRUE(arena);
  ASSERT_TRUE(arena->place<ReadWrite>(0, Options(4 * page())));
  const std::uint64_t size = arena->size();
  for (const Extent extent : {Extent{0, page()}, {0, size}, {page(), size - page()}}) {
    EXPECT_TRUE(arena->flush(extent));
    EXPECT_TRUE(arena->advise(extent, Advice::page_out));
    EXPECT_TRUE(arena->remove(extent));
  }
  const Extent outside{page(), size};
  EXPECT_EQ(arena->flush(outside).error().code, MemoryErrc::out_of_bounds);
  EXPECT_EQ(arena->advise(outside, Advice::page_out).error().code, MemoryErrc::out_of_bounds);
  EXPECT_EQ(arena->remove(outside).error().code, MemoryErrc::out_of_bounds);
}

}  // namespace
}  // namespace engram::mapping
