// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Program images in memory: drivers, those that were unloaded, and the modules of processes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

/// An entry of the kernel's or a process's loader (LDR_DATA_TABLE_ENTRY). Members that cannot be
/// read are empty.
struct LoadedModule {
  std::optional<VirtAddr> address;  ///< of the entry; nothing in a small dump
  VirtAddr process;                 ///< EPROCESS; 0 for drivers
  bool is_wow64 = false;            ///< listed by the 32-bit loader of the process
  std::optional<VirtAddr> base, entry_point;
  std::optional<std::uint32_t> size;  ///< bytes
  std::optional<std::string> name, path;
  std::optional<std::uint16_t> load_count;
  std::optional<std::uint32_t> timestamp;  ///< of its file, seconds since 1970 (or a hash)
};

struct UnloadedDriver {
  std::optional<VirtAddr> address;  ///< of the entry; nothing in a small dump
  std::optional<std::string> name;
  VirtAddr start, end;
  std::optional<std::uint64_t> time;  ///< 100 ns since 1601; nothing in a small dump
};

/// Those that a small dump has. Its addresses are offsets in the file: they are left out.
[[nodiscard]] std::vector<LoadedModule> drivers_of(const image::TriageDump& dump);
[[nodiscard]] std::vector<UnloadedDriver> unloaded_drivers_of(const image::TriageDump& dump);

class Modules {
 public:
  explicit Modules(WindowsKernel& kernel) : kernel_(kernel) {}

  /// In the order in which they were loaded. Errors: it is not known where the list begins, or that
  /// cannot be read.
  [[nodiscard]] Result<std::vector<LoadedModule>> drivers() const;
  /// Those of the 64-bit loader, then those of the 32-bit one.
  [[nodiscard]] std::vector<LoadedModule> of(VirtAddr process) const;
  /// Errors: there is no debugger's block, or the list cannot be read.
  [[nodiscard]] Result<std::vector<UnloadedDriver>> unloaded() const;

 private:
  WindowsKernel& kernel_;
};

}  // namespace engram::kernel::windows
