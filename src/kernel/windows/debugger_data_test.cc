// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/debugger_data.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstring>

#include "base/interruption.h"
#include "paging/test_memory.h"

namespace engram::kernel::windows {
namespace {

using paging::testing::kP;
using paging::testing::kRw;
using paging::testing::TestMemory;

constexpr VirtAddr kBase{0xfffff805'10600000};
constexpr std::uint32_t kImagePages = 12;
constexpr std::uint64_t kBlockAt = 0x3ff8 - 0x10;  // across a page boundary
constexpr std::uint32_t kSize = 0x380;
constexpr PhysAddr kFrames{0x40'000};

using Block = std::array<std::uint64_t, kSize / 8>;

Block plain_block() {
  Block block{};
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = 0xfffff805'00000000 + i;
  block[2] = std::uint64_t{kSize} << 32U | 0x4742444b;
  block[3] = kBase.value;
  return block;
}

/// What the kernel does: for each word, the inverse of what KdCopyDataBlock() does.
Block encoded(Block block, std::uint64_t never, std::uint64_t always, std::uint64_t address) {
  for (auto& word : block) {
    word = __builtin_bswap64(word ^ always) ^ address;
    word = std::rotr(word, static_cast<int>(never & 63U)) ^ never;
  }
  return block;
}

class DebuggerDataTest : public ::testing::Test {
 protected:
  DebuggerDataTest() : memory_(128 * kPageSize), root_(memory_.new_table()) {
    for (std::uint32_t page = 0; page < kImagePages; ++page) {
      memory_.map(root_, 4, kBase + page * kPageSize, kFrames + page * kPageSize, kPageSize,
                  kP | kRw);
    }
  }

  void put(const Block& block) {
    std::memcpy(memory_.at(kFrames + kBlockAt), block.data(), sizeof block);
  }

  Result<DebuggerData> read() {
    const guest::Memory memory = memory_.memory();
    const paging::AddressSpace space(memory, {}, root_);
    return DebuggerData::read(space, kBase + kBlockAt, kBase);
  }

  std::optional<DebuggerData> find() {
    const guest::Memory memory = memory_.memory();
    const paging::AddressSpace space(memory, {}, root_);
    ProgramImage kernel;
    kernel.base = kBase;
    kernel.size = kImagePages * static_cast<std::uint32_t>(kPageSize);
    return DebuggerData::find(space, kernel);
  }

  TestMemory memory_;
  PhysAddr root_;
};

void expect_block(const DebuggerData& data, bool was_encoded) {
  EXPECT_EQ(data.was_encoded(), was_encoded);
  EXPECT_EQ(data.size(), kSize);
  EXPECT_EQ(data.pointer(DebuggerData::kKernBase), kBase);
  EXPECT_EQ(data.pointer(DebuggerData::kPsLoadedModuleList), VirtAddr(0xfffff805'00000009));
  EXPECT_EQ(data.get<std::uint16_t>(DebuggerData::kSizeEProcess), 0x55);
}

TEST_F(DebuggerDataTest, APlainBlockIsRead) {
  put(plain_block());
  const auto data = read();
  ASSERT_TRUE(data) << data.error().text;
  expect_block(*data, false);
}

TEST_F(DebuggerDataTest, AnEncodedBlockIsDecodedWithoutItsKeys) {
  for (const std::uint64_t never :
       {0x0123456789abcd00U, 0x0123456789abcd3fU, 0x7edcba9876543221U}) {
    put(encoded(plain_block(), never, 0x5aa5'1234'9876'fedc, kBase.value + 0x2468));
    const auto data = read();
    ASSERT_TRUE(data) << data.error().text;
    expect_block(*data, true);
  }
}

TEST_F(DebuggerDataTest, EitherIsFoundInTheImage) {
  EXPECT_FALSE(find());
  put(plain_block());
  const auto plain = find();
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->address(), kBase + kBlockAt);
  put(encoded(plain_block(), 0x1122334455667788, 0x99aabbccddeeff00, kBase.value));
  const auto decoded = find();
  ASSERT_TRUE(decoded);
  expect_block(*decoded, true);
}

/// Words of which each, with the next one, looks like the tag and the base of an encoded block.
void fill_with_lures(std::byte* to, std::size_t bytes) {
  const std::uint64_t difference =
      std::rotr(__builtin_bswap64((std::uint64_t{0x400} << 32U | 0x4742444b) ^ kBase.value), 63);
  for (std::size_t at = 0; at < bytes; at += 8) {
    const std::uint64_t word = 0x1122334455667788 ^ (at % 16 != 0 ? difference : 0);
    std::memcpy(to + at, &word, sizeof word);
  }
}

TEST_F(DebuggerDataTest, NotEveryPlaceThatLooksLikeABlockIsTried) {
  const PhysAddr last = kFrames + (kImagePages - 1) * kPageSize;
  const Block block = encoded(plain_block(), 0x1122334455667788, 0x99aabbccddeeff00, kBase.value);
  std::memcpy(memory_.at(last), block.data(), sizeof block);
  fill_with_lures(memory_.at(kFrames), 4 * kPageSize);
  ASSERT_TRUE(find());
  fill_with_lures(memory_.at(kFrames), (kImagePages - 1) * kPageSize);
  EXPECT_FALSE(find());
}

TEST_F(DebuggerDataTest, ASearchCanBeInterrupted) {
  put(plain_block());
  const std::atomic<bool> flag = true;
  const Interruptible now(flag);
  EXPECT_THROW(find(), Interrupted);
}

TEST_F(DebuggerDataTest, WhatIsNoBlockIsAnError) {
  const auto nothing = read();
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().text.find("where its tag should be"), std::string::npos);

  Block block = plain_block();
  block[2] = std::uint64_t{0xffff'fff8} << 32U | 0x4742444b;
  put(block);
  const auto huge = read();
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().text.find("0xfffffff8 bytes"), std::string::npos) << huge.error().text;

  block = plain_block();
  block[DebuggerData::kPsActiveProcessHead / 8] = 0x1000;
  put(block);
  const auto pointers = read();
  ASSERT_FALSE(pointers);
  EXPECT_NE(pointers.error().text.find("do not lie in the kernel's memory"), std::string::npos);
}

TEST_F(DebuggerDataTest, MembersBehindItsEndAreNotThere) {
  Block block = plain_block();
  block[2] = std::uint64_t{0x340} << 32U | 0x4742444b;
  put(block);
  const auto data = read();
  ASSERT_TRUE(data) << data.error().text;
  EXPECT_TRUE(data->get<std::uint16_t>(DebuggerData::kOffsetPrcbContext));
  EXPECT_FALSE(data->get<std::uint16_t>(DebuggerData::kOffsetKThreadWaitReason));
}

}  // namespace
}  // namespace engram::kernel::windows
