// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Argument and environment strings of a process, as /proc/PID/cmdline and environ give them.

#include <optional>
#include <string>
#include <vector>

#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {

class ProcessStrings {
 public:
  explicit ProcessStrings(const LinuxKernel& kernel);

  /// The arguments, empty ones included; nothing if a page of them is not in the image (one
  /// diagnostics row).
  [[nodiscard]] std::optional<std::vector<std::string>> arguments(VirtAddr mm,
                                                                  PhysAddr page_table) const;
  /// The environment's strings, each as it is (mostly NAME=value); nothing as above.
  [[nodiscard]] std::optional<std::vector<std::string>> environment(VirtAddr mm,
                                                                    PhysAddr page_table) const;

 private:
  struct Bounds {
    std::uint64_t arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
  };
  [[nodiscard]] std::optional<Bounds> bounds(VirtAddr mm) const;
  [[nodiscard]] std::optional<std::string> read(VirtAddr mm, PhysAddr page_table,
                                                std::uint64_t start, std::uint64_t end,
                                                std::string_view what) const;

  const LinuxKernel& kernel_;
  Field<std::uint64_t> arg_start_, arg_end_, env_start_, env_end_;
};

/// The strings as one text that a POSIX shell would split into the same strings again: joined with
/// blanks, and a string that is empty or holds anything but plain characters in single quotes.
[[nodiscard]] std::string shell_words(const std::vector<std::string>& strings);

}  // namespace engram::kernel
