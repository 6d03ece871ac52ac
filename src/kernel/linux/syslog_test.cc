// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/syslog.h"

#include <gtest/gtest.h>

namespace engram::kernel {
namespace {

struct Split {
  const char* name;
  const char* line;
  const char *timestamp, *hostname, *process, *message;  ///< null: not there
};

class SyslogTest : public testing::TestWithParam<Split> {};

TEST_P(SyslogTest, SplitsLines) {
  const auto& wanted = GetParam();
  const auto optional = [](const char* text) {
    return text == nullptr ? std::optional<std::string_view>() : text;
  };
  const auto fields = split_syslog_line(wanted.line);
  EXPECT_EQ(fields.timestamp, optional(wanted.timestamp));
  EXPECT_EQ(fields.hostname, optional(wanted.hostname));
  EXPECT_EQ(fields.process, optional(wanted.process));
  EXPECT_EQ(fields.message, wanted.message);
}

INSTANTIATE_TEST_SUITE_P(
    All, SyslogTest,
    testing::Values(Split{"Rfc3339",
                          "2026-01-20T23:59:00.000599+00:00 host labd[1599]: value=1  two",
                          "2026-01-20T23:59:00.000599+00:00", "host", "labd[1599]", "value=1  two"},
                    Split{"Rfc3164", "Jan  1 03:00:07 host sshd[2000]: Failed password for root",
                          "Jan  1 03:00:07", "host", "sshd[2000]", "Failed password for root"},
                    Split{"TwoDigits", "Nov 22 04:29:05 host kernel: [    0.000000] x: y",
                          "Nov 22 04:29:05", "host", "kernel", "[    0.000000] x: y"},
                    Split{"NoHost", "Nov 22 04:29:05 labapp: SYSLOG two", "Nov 22 04:29:05",
                          nullptr, "labapp", "SYSLOG two"},
                    Split{"NoProcess", "Nov 22 04:29:05 host -- MARK --", "Nov 22 04:29:05", "host",
                          nullptr, "-- MARK --"},
                    Split{"StampAlone", "Nov 22 04:29:05", "Nov 22 04:29:05", nullptr, nullptr, ""},
                    Split{"NoStamp", "ed password: x", nullptr, nullptr, nullptr, "ed password: x"},
                    Split{"AlmostAStamp", "Nov 2x 04:29:05 host a: b", nullptr, nullptr, nullptr,
                          "Nov 2x 04:29:05 host a: b"},
                    Split{"Empty", "", nullptr, nullptr, nullptr, ""}),
    [](const auto& chosen) { return std::string(chosen.param.name); });

}  // namespace
}  // namespace engram::kernel
