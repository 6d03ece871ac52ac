// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The memory of processes as Windows plans it: virtual address descriptors (VAD).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

/// A range of addresses of a process.
struct Area {
  VirtAddr address;  ///< MMVAD_SHORT
  VirtAddr process;  ///< EPROCESS
  VirtAddr start, end;
  std::uint8_t protection = 0;  ///< MM_*: what its pages are protected by when they are made
  std::uint8_t type = 0;        ///< MI_VAD_TYPE
  bool is_private = false;

  [[nodiscard]] bool is_readable() const;
  [[nodiscard]] bool is_writable() const;  ///< to a copy, too
  [[nodiscard]] bool is_executable() const;
};

/// As VirtualQuery() names it: PAGE_READWRITE, PAGE_READONLY | PAGE_GUARD ...
[[nodiscard]] std::string protection_name(std::uint8_t protection);
/// MI_VAD_TYPE without its prefix.
[[nodiscard]] std::string area_type_name(std::uint8_t type);

class Areas {
 public:
  explicit Areas(WindowsKernel& kernel);

  /// Whether it is known where processes have their areas, and how these are laid out.
  [[nodiscard]] bool is_known() const {
    return root_ && at_.start && at_.end && at_.flags && at_.left && at_.right;
  }
  /// In address order. A part of the tree that cannot be read is left out, with one diagnostics
  /// row.
  [[nodiscard]] std::vector<Area> of(VirtAddr process) const;
  /// Name of the mapped file within its volume; nothing if there is none.
  [[nodiscard]] std::optional<std::string> file_name(const Area& area) const;

 private:
  struct Walk;
  [[nodiscard]] std::optional<Area> read(VirtAddr node) const;

  const Reader& reader_;
  Field<VirtAddr> root_;
  AreaLayout at_;
};

}  // namespace engram::kernel::windows
