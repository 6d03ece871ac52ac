// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/network_values.h"

#include <gmock/gmock.h>

#include <array>

#include "kernel/linux/test_kernel_memory.h"

namespace engram::kernel {
namespace {

using NetworkValuesTest = KernelMemoryTest;

TEST_F(NetworkValuesTest, AddressesAreTexts) {
  put(kBase, 0x0f02000a);
  put(kBase + 16, 0xb80d0120);
  put(kBase + 24, 0x0100000000000000);
  EXPECT_EQ(read_ip(*reader_, kBase, false, "four"), "10.0.2.15");
  EXPECT_EQ(read_ip(*reader_, kBase + 16, true, "six"), "2001:db8::1");
  EXPECT_EQ(read_ip(*reader_, kBase + 64, true, "none"), "::");
  EXPECT_EQ(ip_text(std::array<std::byte, 5>{}), std::nullopt);
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(NetworkValuesTest, ZeroMayMeanThatThereIsNone) {
  EXPECT_EQ(read_ip(*reader_, kBase, false, "four"), "0.0.0.0");
  EXPECT_EQ(read_ip_unless_zero(*reader_, kBase, false, "four"), std::nullopt);
  EXPECT_EQ(read_ip_unless_zero(*reader_, kBase, true, "six"), std::nullopt);
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(NetworkValuesTest, HardwareAddressesHaveBoundedLengths) {
  put(kBase, 0x563412005452);
  const auto six = read_mac(*reader_, kBase, 6, "mac");
  ASSERT_TRUE(six);
  EXPECT_EQ(mac_text(*six), "52:54:00:12:34:56");
  EXPECT_EQ(read_mac(*reader_, kBase, 0, "mac"), std::nullopt);
  EXPECT_TRUE(diagnostics_.rows().empty());
  EXPECT_EQ(read_mac(*reader_, kBase, 33, "mac"), std::nullopt);
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_THAT(diagnostics_.rows()[0].message, testing::HasSubstr("at most 32"));
}

TEST_F(NetworkValuesTest, WhatCannotBeReadIsReported) {
  EXPECT_EQ(read_ip(*reader_, kBase + kDataSize, false, "four"), std::nullopt);
  EXPECT_EQ(read_mac(*reader_, kBase + kDataSize, 6, "mac"), std::nullopt);
  EXPECT_EQ(diagnostics_.rows().size(), 2U);
}

}  // namespace
}  // namespace engram::kernel
