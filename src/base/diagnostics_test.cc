// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/diagnostics.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

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
  diagnostics.add(Level::error, "test", "third");
  EXPECT_EQ(diagnostics.rows().size(), 2U);
  EXPECT_EQ(diagnostics.dropped(), 1U);
  diagnostics.add(Level::info, "test", "of no harm");
  EXPECT_EQ(diagnostics.dropped(), 1U);
  diagnostics.set_capacity(3);
  diagnostics.add(Level::info, "test", "fourth");
  EXPECT_EQ(diagnostics.rows().back().message, "fourth");
}

TEST(Diagnostics, SaysWhoAsked) {
  Diagnostics diagnostics;
  {
    const AskedBy tasks("tasks");
    diagnostics.add(Level::warning, "test", "first");
    {
      const AskedBy files("files");
      diagnostics.add(Level::warning, "test", "second");
    }
    diagnostics.add(Level::warning, "test", "third");
    std::thread([&] { diagnostics.add(Level::warning, "test", "fourth"); }).join();
  }
  std::vector<std::string> names;
  for (const auto& row : diagnostics.rows()) names.emplace_back(row.asked_by);
  EXPECT_EQ(names, (std::vector<std::string>{"tasks", "files", "tasks", ""}));
}

}  // namespace
}  // namespace engram
