// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/address.h"

#include <gtest/gtest.h>

namespace engram::cli {
namespace {

std::string described(std::string_view text) {
  const auto address = parse_address(text);
  if (!address) return "error: " + address.error().text;
  const std::string base =
      address->symbol.empty() ? fmt::format("{:x}", address->number) : address->symbol;
  return address->offset == 0 ? base : fmt::format("{}+{:x}", base, address->offset);
}

TEST(ParseAddress, Numbers) {
  EXPECT_EQ(described("1000"), "1000");
  EXPECT_EQ(described("0X1000"), "1000");
  EXPECT_EQ(described("0xffff8880`12345678"), "ffff888012345678");
  EXPECT_EQ(described("ffff8880`12345678+1`0"), "ffff888012345678+10");
  EXPECT_EQ(described("0"), "0");
  EXPECT_EQ(described("ffffffffffffffff"), "ffffffffffffffff");
  EXPECT_EQ(described("dead"), "dead");  // what can be a number is one
}

TEST(ParseAddress, Symbols) {
  EXPECT_EQ(described("init_task"), "init_task");
  EXPECT_EQ(described("init_task+0x10"), "init_task+10");
  EXPECT_EQ(described("init_task+10"), "init_task+10");
  EXPECT_EQ(described("foo.isra.0"), "foo.isra.0");
  EXPECT_EQ(described("_text"), "_text");
}

TEST(ParseAddress, WhatIsNeither) {
  for (const char* text : {"", "+10", "0x", "0x1g", "10000000000000000", "a b", "1_task", "-1"}) {
    EXPECT_FALSE(parse_address(text).has_value()) << text;
  }
  EXPECT_EQ(described("init_task+q"),
            "error: init_task+q: expected a hexadecimal offset behind +, got 'q'");
  EXPECT_EQ(described("init_task+"),
            "error: init_task+: expected a hexadecimal offset behind +, got ''");
}

TEST(ParseLength, NumbersAndUnits) {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"0", 0},          {"128", 128},        {"0x1000", 4096},    {"0x10k", 16384},
      {"4k", 4096},      {"4K", 4096},        {"4KiB", 4096},      {"4 kb", 4096},
      {"3m", 3U << 20U}, {"1g", 1ULL << 30U}, {"2T", 2ULL << 40U}, {"7B", 7},
      {"0xff", 255},     {"0xb", 11},
  };
  for (const auto& [text, expected] : cases) {
    const auto length = parse_length(text);
    ASSERT_TRUE(length.has_value()) << text;
    EXPECT_EQ(*length, expected) << text;
  }
}

TEST(ParseLength, WhatIsNone) {
  for (const char* text : {"", "k", "4q", "-1", "1.5k", "0x", "ff", "18446744073709551616",
                           "18014398509481984k", "4kk", "4bi"}) {
    EXPECT_FALSE(parse_length(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace engram::cli
