// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Mappings as regions of a guest (vm-memory).

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "test_mapped.h"

namespace engram::mapping {
namespace {

using test::begin_of;
using test::byte_at;
using test::open_file;
using test::page;
using test::rights_of;
using test::TempFile;
using test::vmas_of;

constexpr std::uint8_t kMark = 0x42;

TEST(VT57, SliceOfARegion) {
  const auto mapping = Options(1024).no_reserve().map<ReadWrite>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->size(), 1024u);
  const auto slice = mapping->slice(Extent{2, 3});
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->size(), 3u);
  EXPECT_EQ(slice->mutable_guard().data(), begin_of(*mapping) + 2);
}

const std::vector<std::byte> kFive = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                                      std::byte{5}};

TEST(VT58, ReadMoreThanTheFileHas) {
  const TempFile file(kFive);
  const auto mapping = Options(5).backing(open_file(file)).share(Share::shared).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  std::vector<std::byte> bytes(16);
  EXPECT_EQ(mapping->slice().read(0, bytes).count, 5u);
  bytes.resize(5);
  EXPECT_EQ(bytes, kFive);
}

TEST(VT71, AnonymousRegion) {
  const auto nothing = Options(0).no_reserve().map<ReadWrite>();
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().os_errno, EINVAL);
  auto options = Options(4096).no_reserve();
  const auto mapping = options.map<ReadWrite>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->prot(), Prot::read | Prot::write);
  EXPECT_EQ(mapping->share(), Share::private_);
  EXPECT_TRUE(mapping->no_reserve());
  EXPECT_EQ(mapping->backing(), nullptr);
  EXPECT_EQ(mapping->hugetlbfs(), std::nullopt);
  EXPECT_EQ(options.hugetlbfs(false).map<ReadWrite>()->hugetlbfs(), false);
  EXPECT_EQ(options.hugetlbfs(true).map<ReadWrite>()->hugetlbfs(), true);
  const auto vmas = vmas_of(mapping->native_range());
  ASSERT_EQ(vmas.size(), 1u);
  EXPECT_EQ(vmas[0].rights, "rw-p");
  EXPECT_TRUE(vmas[0].has_flag("nr"));
}

TEST(VT72, FileRegion) {
  const TempFile file(kFive);
  const auto mapping =
      Options(5).backing(open_file(file)).share(Share::shared).no_reserve().map<ReadWrite>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->size(), 5u);
  ASSERT_NE(mapping->backing(), nullptr);
  EXPECT_EQ(mapping->backing()->offset, FileOffset(0));
  EXPECT_EQ(mapping->share(), Share::shared);
  EXPECT_TRUE(mapping->no_reserve());
  EXPECT_TRUE(mapping->slice().equals(kFive).value());
}

TEST(VT73, BuilderErrors) {
  const TempFile file(kFive);
  const File opened = open_file(file);
  const auto at = [&](std::uint64_t offset) {
    return Options(1000).backing(opened, FileOffset(offset)).map<ReadWrite>();
  };
  EXPECT_EQ(at(UINT64_MAX).error().os_errno, EINVAL);
  const auto fixed = Options(1000)
                         .backing(opened)
                         .placement(FixedReplace{std::uintptr_t{1} << 32})
                         .map<ReadWrite>();
  ASSERT_FALSE(fixed);
  EXPECT_EQ(fixed.error().code, MemoryErrc::fixed_needs_owner);
  EXPECT_EQ(at(4095).error().code, MemoryErrc::not_page_aligned);
  EXPECT_EQ(at(4095).error().os_errno, EINVAL);
  ASSERT_TRUE(opened.resize(2 * 4096));
  if (page() != 4096) GTEST_SKIP() << "4096 is not a page boundary here";
  auto mapping = at(4096);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->size(), 1000u);
  // Owned: it is gone with the object.
  const NativeRange range = mapping->native_range();
  EXPECT_EQ(rights_of(range), "rw-p");
  mapping = fail_memory(MemoryErrc::empty);
  EXPECT_EQ(rights_of(range), "");
}

TEST(VT74, ForeignMemory) {
  const auto odd = UnownedRange::adopt(reinterpret_cast<void*>(1), 4096);
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, MemoryErrc::invalid_pointer);
  EXPECT_TRUE(UnownedRange::adopt(nullptr, 4096));
  // Not owned: it stays when the object goes.
  const auto owner = Options(page()).map<ReadWrite>();
  ASSERT_TRUE(owner);
  {
    const auto adopted = UnownedRange::adopt(owner->native_range().address, page());
    ASSERT_TRUE(adopted);
    ASSERT_TRUE(adopted->slice().write_object(0, kMark));
  }
  EXPECT_EQ(rights_of(owner->native_range()), "rw-p");
  EXPECT_EQ(byte_at(owner->slice(), 0), kMark);
}

TEST(VT75, OverlapInAFile) {
  if (page() != 4096) GTEST_SKIP() << "4096 is not a page boundary here";
  const TempFile file(std::vector<std::byte>(8192)), other(std::vector<std::byte>(8192));
  const auto region = [](const TempFile& of, std::uint64_t offset, std::uint64_t size) {
    // Every one through a descriptor of its own: the file counts, not the number.
    return Options(size).backing(open_file(of), FileOffset(offset)).map<ReadOnly>().value();
  };
  const auto front = region(file, 0, 4096), back = region(file, 4096, 4096);
  const auto long_one = region(file, 0, 5000), short_one = region(file, 0, 1000);
  const auto elsewhere = region(other, 0, 5000);
  const auto anonymous = Options(5000).map<ReadOnly>().value();
  EXPECT_FALSE(front.shares_file_bytes(back));
  EXPECT_TRUE(long_one.shares_file_bytes(back));
  EXPECT_TRUE(back.shares_file_bytes(long_one));
  EXPECT_TRUE(long_one.shares_file_bytes(short_one));
  EXPECT_FALSE(long_one.shares_file_bytes(elsewhere));
  EXPECT_FALSE(long_one.shares_file_bytes(anonymous));
  EXPECT_FALSE(anonymous.shares_file_bytes(long_one));
}

TEST(VT76, AnInvalidHandleOfWindows) {
  GTEST_SKIP() << "file mappings of Windows are not built; CT03 is the same for a descriptor";
}

}  // namespace
}  // namespace engram::mapping
