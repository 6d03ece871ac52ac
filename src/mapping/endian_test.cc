// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/endian.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

namespace engram::mapping {
namespace {

/// The bytes of an object as text.
template <class T>
std::string image(const T& value) {
  std::string text(sizeof(T), '\0');
  std::memcpy(text.data(), &value, sizeof(T));
  return text;
}

TEST(Endian, BytesLieInTheNamedOrder) {
  EXPECT_EQ(image(Le16(0x0102)), "\x02\x01");
  EXPECT_EQ(image(Be16(0x0102)), "\x01\x02");
  EXPECT_EQ(image(Le32(0x01020304)), "\x04\x03\x02\x01");
  EXPECT_EQ(image(Be32(0x01020304)), "\x01\x02\x03\x04");
  EXPECT_EQ(image(Le64(0x0102030405060708)), "\x08\x07\x06\x05\x04\x03\x02\x01");
  EXPECT_EQ(image(Be64(0x0102030405060708)), "\x01\x02\x03\x04\x05\x06\x07\x08");
}

TEST(Endian, ComparesByValueBothWays) {
  constexpr Be32 value(7);
  EXPECT_TRUE(value == 7);
  EXPECT_TRUE(7 == value);
  EXPECT_TRUE(8 != value);
  EXPECT_TRUE(value != 0x07000000);
  EXPECT_TRUE(value == Be32(7));
  EXPECT_TRUE(value != Be32(8));
  static_assert(value.to_native() == 7 && static_cast<std::uint32_t>(value) == 7);
  EXPECT_EQ(Be64().to_native(), 0U);
}

TEST(Endian, IsPlainDataOfTheIntegersLayout) {
  static_assert(Pod<Le16> && Pod<Be64> && Pod<LeSize> && Pod<std::array<Be32, 3>>);
  static_assert(sizeof(Be16) == 2 && alignof(Le64) == alignof(std::uint64_t));
  struct Header {
    Be16 kind;
    Le16 flags;
    Be32 length;
  };
  static_assert(sizeof(Header) == 8);
  Header header;
  std::memcpy(&header, "\x00\x01\x02\x00\x00\x00\x01\x00", sizeof header);
  EXPECT_EQ(header.kind.to_native(), 1);
  EXPECT_EQ(header.flags.to_native(), 2);
  EXPECT_EQ(header.length.to_native(), 256U);
}

}  // namespace
}  // namespace engram::mapping
