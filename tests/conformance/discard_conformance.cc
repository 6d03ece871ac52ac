// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// ST-09: one meaning of discard, whatever is mapped.

#include <gtest/gtest.h>

#include <cerrno>

#include "test_mapped.h"

namespace engram::mapping {
namespace {

using test::byte_at;
using test::numbered_pages;
using test::open_file;
using test::page;
using test::TempFile;

constexpr std::uint64_t kPages = 4;

template <class M>
concept CanDiscard = requires(M& mapping) {
  mapping.discard(Extent());
};

/// Discards the second page of a mapping whose pages are full of 1, 2, 3, 4.
void expect_second_page_gone(Mapping<ReadWrite>& mapping) {
  ASSERT_TRUE(mapping.discard({page(), page()}));
  EXPECT_EQ(byte_at(mapping.slice(), 0), 1);
  EXPECT_EQ(byte_at(mapping.slice(), page() - 1), 1);
  EXPECT_TRUE(mapping.slice({page(), page()})->is_zero().value());
  EXPECT_EQ(byte_at(mapping.slice(), 2 * page()), 3);
  // It is memory like any other afterwards.
  ASSERT_TRUE(mapping.slice().write_object<std::uint8_t>(page(), 7));
  EXPECT_EQ(byte_at(mapping.slice(), page()), 7);
}

void number(Mapping<ReadWrite>& mapping) {
  ASSERT_TRUE(mapping.slice().write_exact(0, numbered_pages(kPages)));
}

Mapping<ReadWrite> anonymous(Share share) {
  auto mapping = Options(kPages * page()).share(share).map<ReadWrite>().value();
  number(mapping);
  return mapping;
}

/// Bytes that the file takes on its disk or in memory.
std::uint64_t data_size(const File& file) {
  std::uint64_t size = 0;
  const auto extents = file.data_extents({FileOffset(), file.size().value()});
  for (const FileExtent& extent : extents.value()) size += extent.size;
  return size;
}

TEST(ST09, PrivateAnonymous) {
  auto mapping = anonymous(Share::private_);
  EXPECT_EQ(mapping.resident(mapping.all()).value(), kPages * page());
  ASSERT_TRUE(mapping.discard({2 * page(), page()}));
  EXPECT_EQ(mapping.resident({2 * page(), page()}).value(), 0u);
  number(mapping);
  expect_second_page_gone(mapping);
}

TEST(ST09, SharedAnonymous) {
  auto mapping = anonymous(Share::shared);
  expect_second_page_gone(mapping);
}

TEST(ST09, MemoryFile) {
  const auto memory = SharedMemory::create("discard", kPages * page());
  ASSERT_TRUE(memory);
  auto mapping =
      Options(kPages * page()).backing(*memory).share(Share::shared).map<ReadWrite>().value();
  number(mapping);
  ASSERT_EQ(data_size(memory->file()), kPages * page());
  ASSERT_TRUE(mapping.discard({page(), page()}));
  EXPECT_EQ(data_size(memory->file()), (kPages - 1) * page());
  expect_second_page_gone(mapping);
}

TEST(ST09, PrivateFileDoesNotBringTheFileBack) {
  const TempFile file(std::vector<std::byte>(kPages * page(), std::byte{0x55}));
  auto mapping = Options(kPages * page()).backing(open_file(file)).map<ReadWrite>().value();
  number(mapping);
  expect_second_page_gone(mapping);
  EXPECT_EQ(test::first_byte(file), std::byte{0x55});
  EXPECT_EQ(test::rights_of(mapping.native_range()), "rw-p");
}

TEST(ST09, Locked) {
  if (!test::kCanLockMemory) GTEST_SKIP() << "the sanitizer does not lock memory";
  const auto memory = SharedMemory::create("locked", kPages * page());
  ASSERT_TRUE(memory);
  const TempFile file(numbered_pages(kPages));
  const auto check = [](Mapping<ReadWrite> mapping) {
    if (const auto locked = mapping.lock(); !locked) {
      GTEST_SKIP() << "cannot lock memory: " << to_string(locked.error());
    }
    number(mapping);
    expect_second_page_gone(mapping);
    for (const test::Vma& vma : test::vmas_of(mapping.native_range())) {
      EXPECT_TRUE(vma.has_flag("lo")) << "a part is no longer locked";
    }
  };
  check(anonymous(Share::private_));
  check(anonymous(Share::shared));
  check(Options(kPages * page()).backing(*memory).share(Share::shared).map<ReadWrite>().value());
  check(Options(kPages * page()).backing(open_file(file)).map<ReadWrite>().value());
}

TEST(ST09, UnalignedIsRefused) {
  for (const Share share : {Share::private_, Share::shared}) {
    auto mapping = anonymous(share);
    EXPECT_EQ(mapping.discard({1, page()}).error().code, MemoryErrc::not_page_aligned);
    EXPECT_EQ(mapping.discard({page(), 1}).error().code, MemoryErrc::not_page_aligned);
    EXPECT_EQ(mapping.discard({page(), kPages * page()}).error().code, MemoryErrc::out_of_bounds);
    EXPECT_TRUE(mapping.slice().equals(numbered_pages(kPages)).value());
  }
}

TEST(ST09, ReadOnlyIsRefused) {
  auto mapping = Options(page()).map_any(Prot::read);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->discard({0, page()}).error().code, MemoryErrc::access_refused);
  static_assert(!CanDiscard<Mapping<ReadOnly>> && CanDiscard<Mapping<ReadWrite>>);
}

}  // namespace
}  // namespace engram::mapping
