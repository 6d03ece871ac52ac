// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/shared_memory.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

#include "base/test_file.h"
#include "mapping/mapping.h"

namespace engram::mapping {
namespace {

constexpr std::uint64_t kSize = 1 << 16;

TEST(SharedMemory, SealsAtCreation) {
  const auto memory = SharedMemory::create("sealed", kSize, {.seals = Seals::shrink | Seals::grow});
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->seals().value(), Seals::shrink | Seals::grow);
  EXPECT_EQ(memory->file().resize(kSize / 2).error().os_errno, EPERM);
  EXPECT_EQ(memory->file().resize(kSize * 2).error().os_errno, EPERM);
  EXPECT_EQ(memory->size().value(), kSize);
}

TEST(SharedMemory, Errors) {
  EXPECT_EQ(SharedMemory::create(std::string(300, 'x'), kSize).error().os_errno, EINVAL);
  EXPECT_EQ(SharedMemory::create("big", std::uint64_t{1} << 63).error().code,
            MemoryErrc::invalid_size);
}

TEST(SealsOf, AnOrdinaryFileHasNone) {
  const test::TempFile file(std::vector<std::byte>(10));
  EXPECT_EQ(seals_of(File::open(file.path()).value()).value(), Seals::none);
}

TEST(SealedMapping, OnlyMemoryThatCannotShrinkCannotBeTruncated) {
  const auto loose = SharedMemory::create("loose", kSize);
  const auto tight = SharedMemory::create("tight", kSize, {.seals = Seals::shrink});
  ASSERT_TRUE(loose && tight);
  const auto safe = [](const SharedMemory& memory, std::uint64_t size) {
    return Options(size)
        .backing(memory)
        .share(Share::shared)
        .map<ReadWrite>()
        ->cannot_be_truncated();
  };
  EXPECT_FALSE(safe(*loose, kSize));
  EXPECT_TRUE(safe(*tight, kSize));
  EXPECT_FALSE(safe(*tight, kSize + 1)) << "bytes past the end fault";
  EXPECT_TRUE(Options(kSize).map<ReadWrite>()->cannot_be_truncated());
}

TEST(SealedMapping, WritableSharedIsRefusedOrPrivate) {
  const auto memory = SharedMemory::create("written", kSize);
  ASSERT_TRUE(memory);
  const std::vector<std::byte> five(5, std::byte{5});
  ASSERT_TRUE(memory->file().write_at(FileOffset(), five).complete());
  ASSERT_TRUE(memory->add_seals(Seals::write));
  auto options = Options(kSize).backing(*memory).share(Share::shared);
  const auto refused = options.map<ReadWrite>();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, MemoryErrc::sealed);

  auto readable = options.map<ReadOnly>();
  ASSERT_TRUE(readable);
  if (readable->share() == Share::shared) {  // Linux 6.7 and later
    auto writable = std::move(*readable).make_mut();
    ASSERT_FALSE(writable);
    EXPECT_EQ(writable.error().error.code, MemoryErrc::sealed);
  }

  const auto copy = options.when_sealed(WhenSealed::map_private).map<ReadWrite>();
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->share(), Share::private_);
  ASSERT_TRUE(copy->slice().write_object<std::uint8_t>(0, 6));
  std::byte byte{};
  ASSERT_TRUE(memory->file().read_at(FileOffset(), MutableBytes(&byte, 1)).complete());
  EXPECT_EQ(byte, std::byte{5});
}

TEST(SealedMapping, DiscardOfWriteSealedMemoryIsSealed) {
  const auto memory = SharedMemory::create("future", kSize);
  ASSERT_TRUE(memory);
  auto mapping = Options(kSize).backing(*memory).share(Share::shared).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  // The mapping that is there goes on writing; a hole counts as a new write.
  ASSERT_TRUE(memory->add_seals(Seals::future_write));
  EXPECT_TRUE(mapping->slice().write_object<std::uint8_t>(0, 6));
  EXPECT_EQ(mapping->discard(mapping->all()).error().code, MemoryErrc::sealed);
}

}  // namespace
}  // namespace engram::mapping
