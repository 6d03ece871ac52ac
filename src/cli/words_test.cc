// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> words(std::string_view line) {
  const auto split = split_words(line);
  return split ? *split : std::vector<std::string>{"failed", split.error().text};
}

TEST(SplitWords, AtBlanks) {
  EXPECT_THAT(words(""), IsEmpty());
  EXPECT_THAT(words(" \t "), IsEmpty());
  EXPECT_THAT(words(".carve  0x1000\t0 "), ElementsAre(".carve", "0x1000", "0"));
}

TEST(SplitWords, QuotesAndBackslashes) {
  EXPECT_THAT(words("'a b' \"c d\" e\\ f"), ElementsAre("a b", "c d", "e f"));
  EXPECT_THAT(words("a'b'\"c\"d"), ElementsAre("abcd"));
  EXPECT_THAT(words("'' \"\""), ElementsAre("", ""));
  EXPECT_THAT(words(R"('a\n"b' "a\"\\\n'b")"), ElementsAre(R"(a\n"b)", R"(a"\\n'b)"));
}

TEST(SplitWords, WhatHasNoEndIsAnErrorWithItsPlace) {
  EXPECT_THAT(words("ab 'c"), ElementsAre("failed", HasSubstr("column 4")));
  EXPECT_THAT(words("ab \"c\\\""), ElementsAre("failed", HasSubstr("column 4")));
  EXPECT_THAT(words("ab\\"), ElementsAre("failed", HasSubstr("column 3")));
}

}  // namespace
}  // namespace engram::cli
