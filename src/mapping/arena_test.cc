// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/arena.h"

#include <gtest/gtest.h>

#include <utility>

#include "mapping/mapping.h"
#include "mapping/test_vma.h"

namespace engram::mapping {
namespace {

const std::uint64_t kPage = PageSize::base().bytes();

NativeRange pages_of(const Arena& arena, std::uint64_t first, std::uint64_t count) {
  auto* const start = static_cast<std::byte*>(arena.native_range().address);
  return {start + first * kPage, static_cast<std::size_t>(count * kPage)};
}

TEST(Arena, AFailedPlacementLeavesWhatWasThere) {
  auto arena = Arena::create(4 * kPage);
  ASSERT_TRUE(arena);
  const auto placed = arena->place<ReadWrite>(kPage, Options(2 * kPage));
  ASSERT_TRUE(placed);
  ASSERT_TRUE(placed->write_object<std::uint8_t>(0, 42));
  // The mapping can be made, but not the advice given.
  const auto failed =
      arena->place<ReadWrite>(0, Options(4 * kPage).share(Share::shared).wipe_on_fork());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, MemoryErrc::os);
  EXPECT_EQ(placed->read_object<std::uint8_t>(0).value(), 42);
  EXPECT_EQ(test::rights_of(pages_of(*arena, 0, 1)), "---p");
  EXPECT_EQ(test::rights_of(pages_of(*arena, 1, 2)), "rw-p");
}

TEST(Arena, ViewsCoverOnlyWhatIsPlacedAndAllowed) {
  auto arena = Arena::create(4 * kPage);
  ASSERT_TRUE(arena);
  ASSERT_TRUE(arena->place<ReadWrite>(0, Options(kPage)));
  ASSERT_TRUE(arena->place<ReadOnly>(kPage, Options(kPage)));
  EXPECT_EQ(arena->slice({0, 2 * kPage})->size(), 2 * kPage);
  EXPECT_TRUE(arena->mutable_slice({0, kPage}));
  EXPECT_EQ(arena->mutable_slice({1, kPage}).error().address, kPage);
  EXPECT_EQ(arena->slice({0, 3 * kPage}).error().address, 2 * kPage);
  EXPECT_EQ(arena->slice({0, 5 * kPage}).error().code, MemoryErrc::out_of_bounds);
  ASSERT_TRUE(arena->remove({0, 1}));
  EXPECT_EQ(arena->slice({0, 2 * kPage}).error().code, MemoryErrc::access_refused);
  EXPECT_TRUE(arena->slice({kPage, kPage}));
}

TEST(Arena, EmptyPartsCanReadAsZeros) {
  auto arena = Arena::create(4 * kPage, {.empty = Arena::Empty::zeros});
  ASSERT_TRUE(arena);
  EXPECT_TRUE(arena->slice({0, 4 * kPage})->is_zero().value());
  ASSERT_TRUE(arena->place<NoAccess>(2 * kPage, Options(kPage)));
  EXPECT_EQ(arena->slice({0, 4 * kPage}).error().address, 2 * kPage);
  ASSERT_TRUE(arena->remove({2 * kPage, kPage}));
  EXPECT_TRUE(arena->slice({0, 4 * kPage}));
  EXPECT_EQ(arena->mutable_slice({0, 1}).error().code, MemoryErrc::access_refused);
}

TEST(Arena, SharedMemoryAndJitCode) {
  auto arena = Arena::create(4 * kPage);
  const auto memory = SharedMemory::create("device", 2 * kPage);
  ASSERT_TRUE(arena && memory);
  const auto view = arena->place<ReadWrite>(
      2 * kPage, Options(kPage).backing(*memory, FileOffset(kPage)).share(Share::shared));
  ASSERT_TRUE(view);
  ASSERT_TRUE(view->write_object<std::uint8_t>(0, 9));
  std::byte byte{};
  ASSERT_TRUE(memory->file().read_at(FileOffset(kPage), MutableBytes(&byte, 1)).complete());
  EXPECT_EQ(byte, std::byte{9});
  ASSERT_TRUE(arena->place<ReadWriteExec>(0, Options(kPage).jit(JitToken())));
  EXPECT_EQ(test::rights_of(pages_of(*arena, 0, 1)), "rwxp");
}

TEST(Arena, AddressesAreTheArenasToGive) {
  auto arena = Arena::create(4 * kPage);
  ASSERT_TRUE(arena);
  const auto refused = [&](const Options& options) {
    return arena->place<ReadWrite>(0, options).error().code;
  };
  EXPECT_EQ(refused(Options(kPage).placement(Aligned{kPage})), MemoryErrc::unsupported);
  EXPECT_EQ(refused(Options(kPage).guard_pages()), MemoryErrc::unsupported);
  EXPECT_EQ(refused(Options(0)), MemoryErrc::invalid_size);
}

TEST(Arena, AlignedWithGuardPages) {
  constexpr std::uint64_t kAlignment = 1 << 21;
  NativeRange around;
  {
    auto arena = Arena::create(
        2 * kPage, {.empty = Arena::Empty::zeros, .alignment = kAlignment, .guard_pages = true});
    ASSERT_TRUE(arena);
    const NativeRange range = arena->native_range();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(range.address) % kAlignment, 0u);
    around = {static_cast<std::byte*>(range.address) - kPage, range.size + 2 * kPage};
    EXPECT_EQ(test::rights_of({around.address, kPage}), "---p");
    EXPECT_EQ(test::rights_of(range), "r--p");
    EXPECT_EQ(test::rights_of(pages_of(*arena, 2, 1)), "---p");
    ASSERT_TRUE(arena->place<ReadWrite>(0, Options(2 * kPage)));
  }
  EXPECT_TRUE(test::vmas_of(around).empty()) << "something of it stays mapped";
}

TEST(Arena, MovedFromIsEmpty) {
  auto arena = Arena::create(kPage);
  ASSERT_TRUE(arena);
  const Arena other = std::move(*arena);
  EXPECT_EQ(other.size(), kPage);
  EXPECT_EQ(arena->size(), 0u);
  EXPECT_EQ(arena->place<ReadWrite>(0, Options(kPage)).error().code, MemoryErrc::empty);
  EXPECT_EQ(arena->remove({0, kPage}).error().code, MemoryErrc::empty);
  EXPECT_EQ(arena->slice({0, 0}).error().code, MemoryErrc::empty);
}

}  // namespace
}  // namespace engram::mapping
