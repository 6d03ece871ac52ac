// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace engram::cli {
namespace {

TEST(ProgressLine, BarRateAndTime) {
  EXPECT_EQ(progress_line("writing", 256 * kMiB, 1024 * kMiB, 2),
            "writing [######..................]  25 %  128 MiB/s  0:06 left");
  EXPECT_EQ(progress_line("writing", kGiB, kGiB, 4),
            "writing [########################] 100 %  256 MiB/s  0:00 left");
  EXPECT_EQ(progress_line("writing", kMiB, 10000 * kMiB, 1),
            "writing [........................]   0 %  1 MiB/s  2:46:39 left");
}

TEST(ProgressLine, WithoutAnythingToCountFrom) {
  EXPECT_EQ(progress_line("writing", 0, kMiB, 1), "writing [........................]   0 %");
  EXPECT_EQ(progress_line("writing", 0, 0, 1), "writing [########################] 100 %");
  // More than was announced: a guest's memory may be counted in pages.
  EXPECT_EQ(progress_line("writing", 2 * kMiB, kMiB, 1),
            "writing [########################] 100 %  2 MiB/s  0:00 left");
}

}  // namespace
}  // namespace engram::cli
