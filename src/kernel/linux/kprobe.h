// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Probes in the kernel's code (struct kprobe): who is called when it comes by.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

struct Kprobe {
  VirtAddr address;
  /// The probe that stands for all at one place, or whose code is optimized; nothing if this one
  /// is there itself.
  std::optional<VirtAddr> aggregate;
};

class Kprobes {
 public:
  explicit Kprobes(LinuxKernel& kernel);

  /// The registered probes, as /sys/kernel/debug/kprobes/list has them: in the order of their hash
  /// table, those that stand for others left out.
  /// Errors: the kernel has no table of probes.
  [[nodiscard]] Result<std::vector<Kprobe>> list() const;

  // Nothing: the member is absent or NULL, or cannot be read.

  /// Where the probe is.
  [[nodiscard]] std::optional<VirtAddr> place(VirtAddr probe) const;
  /// The symbol that it was registered with; nothing if it was by address.
  [[nodiscard]] std::optional<std::string> symbol_name(VirtAddr probe) const;
  [[nodiscard]] std::optional<std::uint32_t> offset(VirtAddr probe) const;
  /// KPROBE_FLAG_*
  [[nodiscard]] std::optional<std::uint32_t> flags(VirtAddr probe) const;
  [[nodiscard]] std::optional<VirtAddr> pre_handler(VirtAddr probe) const;
  [[nodiscard]] std::optional<VirtAddr> post_handler(VirtAddr probe) const;
  /// It is part of a struct kretprobe, which looks at the return of functions.
  [[nodiscard]] std::optional<bool> is_return_probe(VirtAddr probe) const;
  /// What a kretprobe calls then.
  [[nodiscard]] std::optional<VirtAddr> return_handler(VirtAddr probe) const;
  [[nodiscard]] std::optional<std::uint64_t> missed(VirtAddr probe) const;

 private:
  const Reader& reader_;
  std::optional<VirtAddr> table_;
  Field<VirtAddr> place_, symbol_name_, pre_handler_, post_handler_, return_handler_;
  Field<std::uint32_t> offset_, flags_;
  Field<std::uint64_t> missed_;
  std::optional<std::uint64_t> list_, in_return_probe_;
  std::optional<VirtAddr> aggregate_handler_, return_pre_handler_;
};

}  // namespace engram::kernel
