// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Owned mappings (mmap-rs): made, protected, cut and joined.

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "mapping/areas.h"
#include "test_mapped.h"

namespace engram::mapping {
namespace {

using test::begin_of;
using test::byte_at;
using test::first_byte;
using test::numbered_pages;
using test::open_file;
using test::page;
using test::rights_of;
using test::TempFile;
using test::vmas_of;

constexpr std::uint8_t kMark = 0x42;

TEST(MT01, ReserveNoneThenCommit) {
  auto reserved = Options(page()).reserve<NoAccess>();
  ASSERT_TRUE(reserved);
  const auto mapping = std::move(*reserved).commit();
  ASSERT_TRUE(mapping);
  EXPECT_NE(mapping->native_range().address, nullptr);
  EXPECT_EQ(rights_of(mapping->native_range()), "---p");
}

TEST(MT02, MapRead) {
  const auto mapping = Options(page()).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(rights_of(mapping->native_range()), "r--p");
}

TEST(MT03, ReserveMutCommitWrite) {
  auto reserved = Options(page()).reserve<ReadWrite>();
  ASSERT_TRUE(reserved);
  EXPECT_EQ(rights_of(reserved->native_range()), "---p");
  const auto mapping = std::move(*reserved).commit();
  ASSERT_TRUE(mapping);
  ASSERT_TRUE(mapping->slice().write_object(0, kMark));
  EXPECT_EQ(byte_at(mapping->slice(), 0), kMark);
  EXPECT_EQ(rights_of(mapping->native_range()), "rw-p");
}

TEST(MT04, MapNone) {
  const auto mapping = Options(page()).map<NoAccess>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(rights_of(mapping->native_range()), "---p");
}

TEST(MT05, MapReadAndMapMut) {
  const auto readable = Options(page()).map<ReadOnly>();
  const auto writable = Options(page()).map<ReadWrite>();
  ASSERT_TRUE(readable && writable);
  EXPECT_EQ(rights_of(readable->native_range()), "r--p");
  ASSERT_TRUE(writable->slice().write_object(0, kMark));
  EXPECT_EQ(byte_at(writable->slice(), 0), kMark);
  EXPECT_EQ(rights_of(writable->native_range()), "rw-p");
}

TEST(MT06, SharedReadMappingTwice) {
  const TempFile file(std::vector<std::byte>(page(), std::byte{kMark}));
  const auto options = Options(page()).backing(open_file(file)).share(Share::shared);
  const auto first = options.map<ReadOnly>();
  const auto second = options.map<ReadOnly>();
  ASSERT_TRUE(first && second);
  for (const auto* mapping : {&*first, &*second}) {
    ASSERT_NE(mapping->native_range().address, nullptr);
    EXPECT_EQ(byte_at(mapping->slice(), 0), kMark);
    const auto vmas = vmas_of(mapping->native_range());
    ASSERT_EQ(vmas.size(), 1u);
    EXPECT_EQ(vmas[0].rights, "r--s");
    EXPECT_EQ(vmas[0].path, file.path());
  }
  EXPECT_NE(begin_of(*first), begin_of(*second));
}

TEST(MT07, SharedWritesReachTheOtherMappingAndTheFile) {
  const TempFile file(std::vector<std::byte>(page(), std::byte{0}));
  const File opened = open_file(file);
  const auto options = Options(page()).backing(opened).share(Share::shared);
  const auto writable = options.map<ReadWrite>();
  const auto readable = options.map<ReadOnly>();
  ASSERT_TRUE(writable && readable);
  ASSERT_TRUE(writable->slice().write_object(0, kMark));
  ASSERT_TRUE(writable->flush());
  ASSERT_TRUE(opened.sync());
  EXPECT_EQ(byte_at(readable->slice(), 0), kMark);
  EXPECT_EQ(first_byte(file), std::byte{kMark});
  EXPECT_EQ(rights_of(writable->native_range()), "rw-s");
}

TEST(MT08, PrivateWritesStayPrivate) {
  const TempFile file(std::vector<std::byte>(page(), std::byte{0}));
  const File opened = open_file(file);
  const auto options = Options(page()).backing(opened);
  const auto writable = options.map<ReadWrite>();
  const auto readable = options.map<ReadOnly>();
  ASSERT_TRUE(writable && readable);
  ASSERT_TRUE(writable->slice().write_object(0, kMark));
  ASSERT_TRUE(writable->flush());
  ASSERT_TRUE(opened.sync());
  EXPECT_EQ(byte_at(writable->slice(), 0), kMark);
  EXPECT_EQ(byte_at(readable->slice(), 0), 0);
  EXPECT_EQ(first_byte(file), std::byte{0});
  EXPECT_EQ(rights_of(writable->native_range()), "rw-p");
}

// MT: cut and joined.

TEST(MT09, SplitAReservationAndCommitTheTail) {
  auto head = Options(2 * page()).reserve<ReadWrite>();
  ASSERT_TRUE(head);
  auto tail = head->split_off(page());
  ASSERT_TRUE(tail);
  const auto committed = std::move(*tail).commit();
  ASSERT_TRUE(committed);
  ASSERT_TRUE(committed->slice().write_object(0, kMark));
  EXPECT_EQ(head->size(), page());
  EXPECT_EQ(committed->size(), page());
  EXPECT_LT(begin_of(*head), begin_of(*committed));
  EXPECT_EQ(rights_of(head->native_range()), "---p");
}

TEST(MT10, SplitOff) {
  auto mapping = Options(2 * page()).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  ASSERT_TRUE(mapping->slice().write_object<std::uint8_t>(0, 1));
  ASSERT_TRUE(mapping->slice().write_object<std::uint8_t>(page(), 2));
  EXPECT_EQ(mapping->split_off(1).error().code, MemoryErrc::invalid_offset);
  const auto tail = mapping->split_off(page());
  ASSERT_TRUE(tail);
  EXPECT_EQ(byte_at(mapping->slice(), 0), 1);
  EXPECT_EQ(byte_at(tail->slice(), 0), 2);
}

TEST(MT11, SplitTo) {
  auto mapping = Options(2 * page()).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  const std::byte* const start = begin_of(*mapping);
  EXPECT_EQ(mapping->split_to(1).error().code, MemoryErrc::invalid_offset);
  const auto front = mapping->split_to(page());
  ASSERT_TRUE(front);
  EXPECT_EQ(begin_of(*front), start);
  EXPECT_EQ(begin_of(*mapping), start + page());
}

TEST(MT12, SplitAFileMapping) {
  const TempFile file(numbered_pages(2));
  auto mapping = Options(2 * page()).backing(open_file(file)).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  const auto tail = mapping->split_off(page());
  ASSERT_TRUE(tail);
  EXPECT_EQ(byte_at(mapping->slice(), 0), 1);
  EXPECT_EQ(byte_at(tail->slice(), 0), 2);
  EXPECT_EQ(tail->backing()->offset, FileOffset(page()));
}

TEST(MT13, MergeThreeParts) {
  auto left = Options(3 * page()).map<ReadWrite>();
  ASSERT_TRUE(left);
  const std::byte* const start = begin_of(*left);
  auto right = left->split_off(2 * page());
  auto middle = left->split_off(page());
  ASSERT_TRUE(right && middle);
  const auto refused = [](auto& first, auto& second) {
    const std::byte* const address = begin_of(second);
    auto merged = first.merge(std::move(second));
    ASSERT_FALSE(merged);
    EXPECT_EQ(merged.error().error.code, MemoryErrc::must_be_adjacent);
    second = std::move(merged.error().self);
    EXPECT_EQ(begin_of(second), address);
    EXPECT_EQ(second.size(), page());
  };
  refused(*left, *right);
  refused(*right, *left);
  refused(*middle, *left);
  ASSERT_TRUE(left->merge(std::move(*middle)));
  EXPECT_TRUE(middle->empty());
  auto wrong_way = right->merge(std::move(*left));
  ASSERT_FALSE(wrong_way);
  *left = std::move(wrong_way.error().self);
  ASSERT_TRUE(left->merge(std::move(*right)));
  EXPECT_EQ(left->size(), 3 * page());
  EXPECT_EQ(begin_of(*left), start);
  EXPECT_EQ(rights_of(left->native_range()), "rw-p");
}

TEST(MT14, AfterTheMiddleIsDroppedAQueryFindsTheEnds) {
  auto left = Options(3 * page()).map<ReadWrite>();
  ASSERT_TRUE(left);
  const HostAddr start(reinterpret_cast<std::uintptr_t>(begin_of(*left)));
  auto right = left->split_off(2 * page());
  ASSERT_TRUE(right);
  { const auto middle = left->split_off(page()); }
  std::vector<AddressRange> found;
  for (const Result<Area>& area : Areas::of_self()->query(AddressRange{start, 3 * page()})) {
    ASSERT_TRUE(area) << area.error().text;
    found.push_back(area->range);
  }
  ASSERT_GE(found.size(), 2u);
  EXPECT_LE(found.size(), 3u);  // somebody else's may lie in the gap
  EXPECT_EQ(found.front().end(), start + page());
  EXPECT_EQ(found.back().start, start + 2 * page());
}

TEST(MT15, PageSizesAndAnAnonymousPage) {
  const PageSizes sizes = supported_page_sizes();
  EXPECT_TRUE(sizes.contains(PageSize::base()));
  auto writable = Options(page()).map<ReadWrite>();
  ASSERT_TRUE(writable);
  ASSERT_TRUE(writable->slice().write_object(0, kMark));
  const auto readable = std::move(*writable).make_read_only();
  ASSERT_TRUE(readable);
  EXPECT_EQ(byte_at(readable->slice(), 0), kMark);
  EXPECT_EQ(rights_of(readable->native_range()), "r--p");
}

TEST(MT15, ListAllAreas) {
  const auto mapping = Options(page()).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  const HostAddr wanted(reinterpret_cast<std::uintptr_t>(begin_of(*mapping)));
  bool seen = false;
  for (const Result<Area>& area : Areas::of_self()->all()) {
    ASSERT_TRUE(area) << area.error().text;
    if (area->range.contains(wanted)) seen = area->prot == Prot::read;
  }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace engram::mapping
