// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/test_damage.h"
#include "image/test_dmp.h"
#include "image/test_write.h"

namespace engram::image {
namespace {

using namespace test;
using testing::HasSubstr;

Facts windows_facts() {
  CrashHeader crash;
  crash.machine = kMachineAmd64;
  crash.build = 19041;
  crash.directory_table_base = kDmpRoot;
  crash.comment = "a comment";
  crash.exception = CrashException{0x80000003, 1, 2, kDmpRip, {7, 8}};
  Facts facts;
  facts.crash = crash;
  return facts;
}

TEST(WriteDmp, PartsOfPagesAreFilledAndNothingElseIsThere) {
  for (const std::string_view target : {"dmp", "dmp-full"}) {
    SCOPED_TRACE(target);
    const guest::Memory memory = odd_memory();
    const NewName name;
    const auto image = round_trip(name, target, memory, windows_facts());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->format(), "dmp");
    EXPECT_EQ(notices_of(*image), "");
    EXPECT_EQ(image->memory().present_bytes(), 4 * kPageSize);  // 1 to 3, and 9
    EXPECT_EQ(image->ranges().size(), 2U);
    Buffer expected(0x2800), found(0x2800);
    EXPECT_TRUE(memory.read(PhysAddr(0x1800), expected).complete());
    EXPECT_TRUE(image->memory().read(PhysAddr(0x1800), found).complete());
    EXPECT_EQ(found, expected);
    EXPECT_EQ(image->memory().load_word(PhysAddr(0x1000)), 0U);
    EXPECT_FALSE(image->memory().load_word(PhysAddr(0x4000)).has_value());
  }
}

TEST(WriteDmp, KeepsWhatTheHeaderSays) {
  const NewName name;
  const auto image = round_trip(name, "dmp", odd_memory(), windows_facts());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  const CrashHeader& crash = *image->facts().crash;
  EXPECT_EQ(crash.dump_type, 5U);
  EXPECT_EQ(crash.machine, kMachineAmd64);
  EXPECT_EQ(crash.build, 19041U);
  EXPECT_EQ(crash.directory_table_base, kDmpRoot);
  EXPECT_EQ(crash.comment, "a comment");
  EXPECT_EQ(crash.bugcheck_code, 0x161U);  // LIVE_SYSTEM_DUMP
  EXPECT_EQ(crash.bugcheck_parameters[3], 0U);
  ASSERT_TRUE(crash.exception.has_value());
  EXPECT_EQ(crash.exception->address, kDmpRip);
  EXPECT_EQ(crash.exception->parameters, (std::vector<std::uint64_t>{7, 8}));
  EXPECT_EQ(crash.required_space, image->file_size());
  EXPECT_FALSE(crash.processes || crash.up_time || crash.attributes || crash.version_user);
  EXPECT_TRUE(crash.context.empty());
}

TEST(WriteDmp, RunsThatTheHeaderHasNoRoomFor) {
  Regions regions;
  for (std::uint64_t i = 0; i < 43; ++i)
    regions.push_back({PhysAddr(i * 2 * kPageSize), kPageSize, Backing::zero, {}});
  const guest::Memory memory = memory_of(std::move(regions), Buffer());
  const NewName full, bitmap;
  const auto refused = round_trip(full, "dmp-full", memory, windows_facts());
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text, HasSubstr("43 runs of pages, at most 42 fit in the header"));
  const auto image = round_trip(bitmap, "dmp", memory, windows_facts());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->ranges().size(), 43U);
}

TEST(WriteDmp, WhatTheFormatCannotHaveIsRefused) {
  const NewName name;
  const auto unknown = round_trip(name, "dmp", odd_memory());
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().text, HasSubstr("a crash dump is of Windows"));
  Facts narrow = windows_facts();
  narrow.crash->is_64_bit = false;
  const auto refused = round_trip(name, "dmp", odd_memory(), narrow);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text, HasSubstr("a 32-bit machine"));
  const guest::Memory far =
      memory_of({{PhysAddr(1ULL << 43U), 0x1000, Backing::zero, {}}}, Buffer());
  const auto too_far = round_trip(name, "dmp", far, windows_facts());
  ASSERT_FALSE(too_far.has_value());
  EXPECT_THAT(too_far.error().text, HasSubstr("page 0x80000000 at 0x80000000000"));
}

}  // namespace
}  // namespace engram::image
