// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Lines of log files out of the page cache, and what a syslog daemon puts into a line.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace engram::kernel {

class LinuxKernel;

/// A line, or what is cached of it. All offsets are bytes in the file.
struct LogLine {
  std::uint64_t region_start = 0, region_end = 0;  ///< of the run of cached bytes that it is in
  std::uint64_t start = 0;                         ///< of its first byte
  bool has_start = false;  ///< the bytes before it are not its beginning, cut off
  bool has_end = false;    ///< it ends with a new line, or with the file
  std::string text;        ///< without the new line
};

/// The lines of the file with this struct inode that are in the page cache at least in part, in
/// their order; empty lines are left out. Lines of more than 64 KiB come in parts. What cannot be
/// read is a diagnostics row.
[[nodiscard]] std::vector<LogLine> read_log(LinuxKernel& kernel, VirtAddr inode);

/// The parts of a line; all but the message may be missing.
struct SyslogFields {
  std::optional<std::string_view> timestamp;  ///< RFC 3339, or `Jan  2 03:04:05` (RFC 3164)
  std::optional<std::string_view> hostname;
  std::optional<std::string_view> process;  ///< what stands before the colon: `sshd[2000]`
  std::string_view message;
};
[[nodiscard]] SyslogFields split_syslog_line(std::string_view line);

}  // namespace engram::kernel
