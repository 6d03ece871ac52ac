// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/process_strings.h"

#include <gtest/gtest.h>

namespace engram::kernel {
namespace {

TEST(ShellWords, PlainWordsStayAsTheyAre) {
  EXPECT_EQ(shell_words({"/bin/ls", "-l", "--color=auto", "a+b@c:1,2%"}),
            "/bin/ls -l --color=auto a+b@c:1,2%");
}

TEST(ShellWords, WhatAShellWouldChangeIsQuoted) {
  EXPECT_EQ(shell_words({"a b", "", "$HOME", "it's", "new\nline"}),
            "'a b' '' '$HOME' 'it'\\''s' 'new\nline'");
}

TEST(ShellWords, EmptyStringsAreKept) {
  EXPECT_EQ(shell_words({}), "");
  EXPECT_EQ(shell_words({""}), "''");
  EXPECT_EQ(shell_words({"", ""}), "'' ''");
}

TEST(ShellWords, TextBeyondAsciiIsPlain) {
  EXPECT_EQ(shell_words({"caf\xc3\xa9"}), "caf\xc3\xa9");
}

}  // namespace
}  // namespace engram::kernel
