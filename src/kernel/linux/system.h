// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel says of itself: release, names, and the time of its start.

#include <cstdint>
#include <optional>
#include <string>

#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {

/// struct new_utsname of the initial UTS namespace.
struct Utsname {
  std::optional<std::string> nodename, release, version, machine, domainname;
};

[[nodiscard]] Utsname read_utsname(const LinuxKernel& kernel);

struct BootTime {
  std::int64_t nanoseconds = 0;  ///< Unix time at which CLOCK_BOOTTIME was 0
  VirtAddr timekeeper;           ///< struct timekeeper
};

/// As getboottime64() computes it for btime in /proc/stat; nothing (and a diagnostics row) if it
/// cannot be read.
[[nodiscard]] std::optional<BootTime> read_boot_time(const LinuxKernel& kernel);

}  // namespace engram::kernel
