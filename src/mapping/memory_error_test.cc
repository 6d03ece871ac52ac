// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/memory_error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace engram::mapping {
namespace {

TEST(MemoryErrorTest, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  constexpr auto kLast = static_cast<std::uint16_t>(MemoryErrc::bad_flags);
  for (std::uint16_t code = 0; code <= kLast; ++code) {
    const std::string_view name = to_string(static_cast<MemoryErrc>(code));
    EXPECT_NE(name, "unknown") << code;
    EXPECT_EQ(name.find('_'), std::string_view::npos) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), kLast + 1u);
  EXPECT_EQ(to_string(static_cast<MemoryErrc>(kLast + 1)), "unknown");
}

TEST(MemoryErrorTest, TextCarriesTheNumbersOfTheCode) {
  const auto text = [](MemoryErrc code, std::uint64_t address, std::uint64_t expected,
                       std::uint64_t completed) {
    return to_string(fail_memory(code, address, expected, completed).value());
  };
  EXPECT_EQ(text(MemoryErrc::out_of_bounds, 0x105, 0, 0), "out of bounds: 0x105 is past the end");
  EXPECT_EQ(text(MemoryErrc::range_overflow, 0x10, 0xfffffffffffffff8, 0),
            "range overflow: 0x10 + 0xfffffffffffffff8 exceeds 2^64");
  EXPECT_EQ(text(MemoryErrc::too_big, 0, 100, 4),
            "too big: 100 elements of 4 bytes exceed the address space");
  EXPECT_EQ(text(MemoryErrc::misaligned, 0x1001, 8, 0),
            "misaligned: 0x1001 is not a multiple of 0x8");
  EXPECT_EQ(text(MemoryErrc::invalid_guest_address, 0x2001, 0, 0),
            "invalid guest address: no region has 0x2001");
  EXPECT_EQ(text(MemoryErrc::empty, 0, 0, 0), "empty");
}

TEST(MemoryErrorTest, SystemErrorsAreNamedAndNumbered) {
  EXPECT_EQ(to_string(fail_os(EBADF).value()), "os: Bad file descriptor (errno 9)");
  EXPECT_EQ(to_error("cannot map disk.img", fail_os(ENOMEM).value()).text,
            "cannot map disk.img: os: Cannot allocate memory (errno 12)");
}

TEST(MemoryErrorTest, PartialSaysHowFarAndWhy) {
  EXPECT_EQ(to_string(MemoryError{MemoryErrc::partial, MemoryErrc::invalid_guest_address, 0, 0x2000,
                                  8, 4}),
            "partial: 0x4 of 0x8 bytes moved, stopped at 0x2000: invalid guest address");
  EXPECT_EQ(to_string(Transfer{4, MemoryErrc::os, EIO, 0x2000}.error(8)),
            "partial: 0x4 of 0x8 bytes moved, stopped at 0x2000: os: Input/output error (errno 5)");
}

TEST(TransferTest, ExactFormIsPartialOnlyWhenSomethingMoved) {
  EXPECT_TRUE(Transfer{}.exact(0));
  EXPECT_TRUE((Transfer{8, MemoryErrc::none, 0, 0}.exact(8)));
  const Transfer nothing{0, MemoryErrc::source_truncated, 0, 0x10};
  ASSERT_FALSE(nothing.exact(8));
  EXPECT_EQ(nothing.exact(8).error().code, MemoryErrc::source_truncated);
  const Transfer some{3, MemoryErrc::source_truncated, 0, 0x13};
  EXPECT_EQ(some.exact(8).error(),
            (MemoryError{MemoryErrc::partial, MemoryErrc::source_truncated, 0, 0x13, 8, 3}));
}

}  // namespace
}  // namespace engram::mapping
