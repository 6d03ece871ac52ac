// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Mappings of files and of shared memory (crosvm).

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "test_mapped.h"

namespace engram::mapping {
namespace {

using test::begin_of;
using test::byte_at;
using test::page;

constexpr std::uint8_t kMark = 0x42;

TEST(CT01, Size) {
  EXPECT_EQ(Options(1024).map<ReadWrite>()->size(), 1024u);
}

TEST(CT02, MapNothing) {
  const auto mapping = Options(0).map<ReadWrite>();
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().code, MemoryErrc::invalid_size);
  EXPECT_EQ(mapping.error().os_errno, EINVAL);
}

TEST(CT03, BadDescriptor) {
  const auto file = File::adopt(-1);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, MemoryErrc::os);
  EXPECT_EQ(file.error().os_errno, EBADF);
}

TEST(CT04, WriteStopsAtTheEnd) {
  const auto mapping = Options(5).share(Share::shared).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->slice().write(0, std::vector<std::byte>(6)).count, 5u);
}

TEST(CT05, Slice) {
  const auto mapping = Options(5).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  const auto slice = mapping->slice(Extent{2, 3});
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->size(), 3u);
  EXPECT_EQ(slice->guard().data(), begin_of(*mapping) + 2);
}

TEST(CT06, RefStores) {
  const auto mapping = Options(5).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  ASSERT_TRUE(mapping->slice().ref<std::uint16_t>(2)->store(9));
  EXPECT_EQ(mapping->slice().read_object<std::uint16_t>(2).value(), 9);
}

TEST(CT07, SliceBounds) {
  const auto mapping = Options(5).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  const auto overflow = mapping->slice(Extent{UINT64_MAX, 3});
  ASSERT_FALSE(overflow);
  EXPECT_EQ(overflow.error().code, MemoryErrc::range_overflow);
  EXPECT_EQ(overflow.error().address, UINT64_MAX);
  EXPECT_EQ(overflow.error().expected, 3u);
  const auto outside = mapping->slice(Extent{3, 3});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, MemoryErrc::out_of_bounds);
  EXPECT_EQ(outside.error().address, 6u);
}

/// A file offset that off_t cannot hold is refused, whatever the descriptor is.
void expect_offset_refused(std::uint64_t offset) {
  const auto memory = SharedMemory::create("offset", 1);
  ASSERT_TRUE(memory);
  const auto mapping =
      Options(1024).backing(*memory, FileOffset(offset)).share(Share::shared).map<ReadWrite>();
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().code, MemoryErrc::invalid_offset);
}

TEST(CT08, OffsetBeyondOffT) {
  expect_offset_refused(static_cast<std::uint64_t>(INT64_MAX) + 1);
}
TEST(XT20, OffsetBeyondOffT) {
  expect_offset_refused(std::uint64_t{1} << 63);
}

TEST(CT09, Examples) {
  const auto mapping = Options(1024).share(Share::shared).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  const auto slice = mapping->slice();
  const std::array<std::byte, 5> five = {};
  EXPECT_EQ(slice.write(256, five).count, 5u);
  std::array<std::byte, 16> sixteen = {};
  EXPECT_EQ(slice.read(256, sixteen).count, 16u);
  for (const std::uint64_t offset : {16u, 32u}) {
    ASSERT_TRUE(slice.write_object<std::uint64_t>(offset, 55 + offset));
    EXPECT_EQ(slice.read_object<std::uint64_t>(offset).value(), 55 + offset);
  }
  const auto part = slice.subslice(32, 128);
  ASSERT_TRUE(part);
  const File random = File::adopt(::open("/dev/urandom", O_RDONLY | O_CLOEXEC)).value();
  const File null = File::adopt(::open("/dev/null", O_WRONLY | O_CLOEXEC)).value();
  EXPECT_EQ(::read(random.fd(), part->mutable_guard().data(), part->size()), 128);
  EXPECT_FALSE(part->is_zero().value());
  EXPECT_TRUE(slice.subslice(160, 96)->is_zero().value());
  EXPECT_EQ(::write(null.fd(), part->guard().data(), part->size()), 128);
}

// XT: shared memory.

TEST(XT17, NameSizeAndSeals) {
  const auto memory = SharedMemory::create("name-kept", static_cast<std::uint64_t>(INT64_MAX));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->name(), "name-kept");
  EXPECT_EQ(memory->size().value(), static_cast<std::uint64_t>(INT64_MAX));
  const std::string link = "/proc/self/fd/" + std::to_string(memory->file().fd());
  EXPECT_EQ(std::filesystem::read_symlink(link).string(), "/memfd:name-kept (deleted)");
  ASSERT_TRUE(memory->add_seals(Seals::seal));
  EXPECT_EQ(memory->seals().value() & Seals::seal, Seals::seal);
  const auto refused = memory->add_seals(Seals::grow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, MemoryErrc::sealed);
}

TEST(XT18, TwoMappingsOfOneMemory) {
  const auto memory = SharedMemory::create("two", 2 * page());
  ASSERT_TRUE(memory);
  const auto shared = [&](std::uint64_t offset, std::uint64_t size) {
    return Options(size).backing(*memory, FileOffset(offset)).share(Share::shared).map<ReadWrite>();
  };
  const auto first = shared(0, 2 * page());
  const auto second = shared(0, 2 * page());
  const auto tail = shared(page(), page());
  ASSERT_TRUE(first && second && tail);
  EXPECT_NE(begin_of(*first), begin_of(*second));
  ASSERT_TRUE(tail->slice().write_object(0, kMark));
  EXPECT_EQ(byte_at(first->slice(), page()), kMark);
  EXPECT_EQ(byte_at(second->slice(), page()), kMark);
  EXPECT_TRUE(first->slice().subslice(0, page())->is_zero().value());
}

}  // namespace
}  // namespace engram::mapping
