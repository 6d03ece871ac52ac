// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Function tracing: who is called when functions of the kernel are entered (struct ftrace_ops).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/linux/live_walk.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

class Ftrace {
 public:
  explicit Ftrace(LinuxKernel& kernel);

  /// The registered struct ftrace_ops, the latest first. An operation seen before, or kLimit of
  /// them, end the walk with one diagnostics row.
  /// Errors: the kernel has no such list (names what is missing).
  [[nodiscard]] Result<std::vector<VirtAddr>> list() const;
  /// The same from an operation on, up to the end of its list or the operation `end`, which is left
  /// out. Errors: the kernel has no such lists.
  [[nodiscard]] Result<std::vector<VirtAddr>> list_from(VirtAddr first,
                                                        std::optional<VirtAddr> end) const;

  // Nothing: the member is absent or NULL, or cannot be read.

  [[nodiscard]] std::optional<VirtAddr> function(VirtAddr operations) const;
  [[nodiscard]] std::optional<std::uint64_t> flags(VirtAddr operations) const;
  /// Names of FTRACE_OPS_FL_* without the prefix, blank-separated, in order of the bits; a bit
  /// without a name as 0x...
  [[nodiscard]] std::optional<std::string> flag_names(VirtAddr operations) const;
  [[nodiscard]] std::optional<VirtAddr> trampoline(VirtAddr operations) const;
  /// Bytes
  [[nodiscard]] std::optional<std::uint64_t> trampoline_size(VirtAddr operations) const;
  /// The function that is called instead of the traced ones.
  [[nodiscard]] std::optional<VirtAddr> direct_call(VirtAddr operations) const;
  /// Functions that the operation is for; 0: all.
  [[nodiscard]] std::optional<std::uint64_t> filter_count(VirtAddr operations) const;
  /// Functions that it is not for.
  [[nodiscard]] std::optional<std::uint64_t> exclusion_count(VirtAddr operations) const;
  /// Names of the functions that it is for, comma-separated, in order of their addresses; empty:
  /// all. Nothing also if they are more than kNameLimit.
  [[nodiscard]] std::optional<std::string> filter_names(VirtAddr operations) const;

  static constexpr std::size_t kLimit = 65'536;
  static constexpr std::uint64_t kNameLimit = 4096;

 private:
  struct Flag {
    std::uint64_t bits;
    std::string name;
  };

  [[nodiscard]] Try<VirtAddr> attempt(VirtAddr first, std::optional<VirtAddr> end) const;
  [[nodiscard]] std::optional<std::uint64_t> count(VirtAddr operations,
                                                   const Field<VirtAddr>& which) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  std::optional<VirtAddr> head_, end_;
  std::vector<Flag> flag_names_;
  Field<VirtAddr> function_, next_, trampoline_, direct_call_, hash_;
  Field<std::uint64_t> flags_, trampoline_size_;
  Field<VirtAddr> filter_, exclusion_, buckets_;
  Field<std::uint64_t> hash_bits_, hash_count_;
  Field<VirtAddr> entry_place_;
};

}  // namespace engram::kernel
