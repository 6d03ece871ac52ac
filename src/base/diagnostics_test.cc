// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/diagnostics.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

TEST(Diagnostics, KeepsTheFirstRowsAndCountsTheOthers) {
  Diagnostics diagnostics(2);
  for (const char* message : {"first", "second", "third"}) {
    diagnostics.add(Level::warning, "test", message);
  }
  ASSERT_EQ(diagnostics.rows().size(), 2U);
  EXPECT_EQ(diagnostics.rows().back().message, "second");
  EXPECT_EQ(diagnostics.dropped(), 1U);
}

TEST(Diagnostics, ACapacityIsForRowsToCome) {
  Diagnostics diagnostics;
  for (const char* message : {"first", "second"}) diagnostics.add(Level::info, "test", message);
  diagnostics.set_capacity(1);
  diagnostics.add(Level::info, "test", "third");
  EXPECT_EQ(diagnostics.rows().size(), 2U);
  EXPECT_EQ(diagnostics.dropped(), 1U);
  diagnostics.set_capacity(3);
  diagnostics.add(Level::info, "test", "fourth");
  EXPECT_EQ(diagnostics.rows().back().message, "fourth");
}

}  // namespace
}  // namespace engram
