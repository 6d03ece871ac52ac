// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/hexdump.h"

#include <gtest/gtest.h>

#include <string_view>

namespace engram::cli {
namespace {

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Hexdump, LinesWithAddressesAndLetters) {
  output::StringSink sink;
  Hexdump dump(sink, 0xffff888000001234);
  ASSERT_TRUE(dump.add(bytes_of("Linux")).has_value());
  ASSERT_TRUE(dump.add(bytes_of(std::string_view("\x00|~\xff", 4))).has_value());
  ASSERT_TRUE(dump.finish().has_value());
  EXPECT_EQ(sink.text(),
            "ffff888000001234  4c 69 6e 75 78 00 7c 7e  ff                       |Linux.|~.|\n");
}

TEST(Hexdump, BytesThatAreNotThere) {
  output::StringSink sink;
  Hexdump dump(sink, 0x1000);
  ASSERT_TRUE(dump.add(bytes_of("0123456789")).has_value());
  ASSERT_TRUE(dump.add_gap(4).has_value());
  ASSERT_TRUE(dump.add(bytes_of("abcd")).has_value());
  ASSERT_TRUE(dump.finish().has_value());
  EXPECT_EQ(sink.text(),
            "0000000000001000  30 31 32 33 34 35 36 37  38 39 ?? ?? ?? ?? 61 62  "
            "|0123456789????ab|\n"
            "0000000000001010  63 64                                             |cd|\n");
}

TEST(Hexdump, LongGapsAreOneLineAndAnAsterisk) {
  output::StringSink sink;
  Hexdump dump(sink, 0);
  ASSERT_TRUE(dump.add(bytes_of("A")).has_value());
  ASSERT_TRUE(dump.add_gap((1ULL << 40U) + 15).has_value());
  ASSERT_TRUE(dump.add(bytes_of("B")).has_value());
  ASSERT_TRUE(dump.finish().has_value());
  const std::string line = "?? ?? ?? ?? ?? ?? ?? ??  ?? ?? ?? ?? ?? ?? ?? ??  |????????????????|\n";
  EXPECT_EQ(sink.text(),
            "0000000000000000  41 ?? ?? ?? ?? ?? ?? ??  ?? ?? ?? ?? ?? ?? ?? ??  "
            "|A???????????????|\n"
            "0000000000000010  " +
                line +
                "*\n"
                "0000010000000010  42                                                |B|\n");
}

}  // namespace
}  // namespace engram::cli
