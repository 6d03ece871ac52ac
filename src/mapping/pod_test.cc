// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/pod.h"

#include <gtest/gtest.h>

#include <array>

namespace engram::mapping {

struct PodPair {
  std::uint32_t a;
  std::uint32_t b;
};
struct PodPadded {
  std::uint8_t a;
  std::uint32_t b;
};
struct PodUndeclared {
  std::uint32_t a;
};
class PodWithConstructor {
 public:
  PodWithConstructor(const PodWithConstructor& other) : a_(other.a_) {}

 private:
  std::uint32_t a_;
};
template <>
inline constexpr bool enable_pod<PodPair> = true;
template <>
inline constexpr bool enable_pod<PodPadded> = true;
template <>
inline constexpr bool enable_pod<PodWithConstructor> = true;
template <>
inline constexpr bool enable_pod<float> = true;
template <>
inline constexpr bool enable_pod<long double> = true;

namespace {

TEST(Pod, IsWhatHasNeitherPaddingNorInvalidValues) {
  static_assert(Pod<std::uint8_t> && Pod<std::int64_t> && Pod<std::byte> && Pod<char>);
  static_assert(Pod<detail::Int128> && Pod<detail::Uint128>);
  static_assert(Pod<const std::uint16_t> && Pod<std::uint16_t[3]> && Pod<std::array<int, 4>>);
  static_assert(Pod<PodPair> && Pod<std::array<PodPair, 2>>);
  static_assert(Pod<float> && !Pod<double>, "only what is declared");
  static_assert(!Pod<long double>, "6 of its 16 bytes are padding");
  static_assert(!Pod<PodPadded> && !Pod<PodUndeclared> && !Pod<PodWithConstructor>);
  static_assert(!Pod<bool> && !Pod<int*> && !Pod<bool[2]> && !Pod<std::array<int*, 1>>);
  static_assert(AtomicInteger<std::uint64_t> && AtomicInteger<char> && !AtomicInteger<bool>);
  static_assert(!AtomicInteger<detail::Uint128> && !AtomicInteger<const int> &&
                !AtomicInteger<int*>);
  EXPECT_EQ(zeroed<PodPair>().b, 0U);
}

TEST(Pod, BytesAndObjectsShowEachOther) {
  PodPair pair = {1, 2};
  EXPECT_EQ(bytes_of(pair).size(), 8U);
  mutable_bytes_of(pair)[4] = std::byte{9};
  EXPECT_EQ(pair.b, 9U);
  const Bytes bytes = bytes_of(pair);
  ASSERT_NE(object_in<PodPair>(bytes), nullptr);
  EXPECT_EQ(object_in<PodPair>(bytes)->b, 9U);
  EXPECT_EQ(object_in<PodPair>(bytes.first(7)), nullptr);
  EXPECT_EQ(object_in<std::uint32_t>(bytes.subspan(1, 4)), nullptr);
  EXPECT_NE(object_in<std::uint8_t>(bytes.subspan(1, 1)), nullptr);
  object_in<PodPair>(mutable_bytes_of(pair))->a = 5;
  EXPECT_EQ(pair.a, 5U);
}

}  // namespace
}  // namespace engram::mapping
