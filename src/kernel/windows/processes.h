// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Processes of a Windows kernel: EPROCESS and what the process itself keeps in its PEB.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

/// 100 ns since 1601 as seconds since 1970; nothing for 0 and for what lies before 1970.
[[nodiscard]] std::optional<std::int64_t> unix_seconds(std::uint64_t time);

class Processes {
 public:
  explicit Processes(WindowsKernel& kernel);

  /// Addresses of all EPROCESS that the kernel lists, in its order. Errors: the structures of this
  /// kernel are not known.
  [[nodiscard]] Result<const std::vector<VirtAddr>*> list() const;

  // Nothing: the member is not known or cannot be read (one diagnostics row), or is empty.

  [[nodiscard]] std::optional<std::uint64_t> id(VirtAddr process) const {
    return reader_.get(process, at_.process_id);
  }
  [[nodiscard]] std::optional<std::uint64_t> parent_id(VirtAddr process) const {
    return reader_.get(process, at_.parent_id);
  }
  [[nodiscard]] std::optional<std::string> name(VirtAddr process) const {
    return reader_.text(process, at_.image_name);
  }
  /// 100 ns since 1601.
  [[nodiscard]] std::optional<std::uint64_t> create_time(VirtAddr process) const;
  [[nodiscard]] std::optional<std::uint64_t> exit_time(VirtAddr process) const;
  [[nodiscard]] std::optional<VirtAddr> peb(VirtAddr process) const {
    return reader_.follow(process, at_.peb);
  }
  /// The PEB that a 32-bit process has beside its 64-bit one.
  [[nodiscard]] std::optional<VirtAddr> peb32(VirtAddr process) const;
  [[nodiscard]] std::optional<VirtAddr> object_table(VirtAddr process) const {
    return reader_.follow(process, at_.object_table);
  }
  /// Address of the TOKEN: the pointer's low bits count references.
  [[nodiscard]] std::optional<VirtAddr> token(VirtAddr process) const;
  /// Physical address of the root page table.
  [[nodiscard]] std::optional<PhysAddr> root(VirtAddr process) const;
  /// That of the tables that the process has while its own code runs (KVA shadow).
  [[nodiscard]] std::optional<PhysAddr> user_root(VirtAddr process) const;

  // Of RTL_USER_PROCESS_PARAMETERS, in the memory of the process.

  [[nodiscard]] std::optional<std::string> image_path(VirtAddr process) const;
  [[nodiscard]] std::optional<std::string> command_line(VirtAddr process) const;
  [[nodiscard]] std::optional<std::string> working_directory(VirtAddr process) const;
  /// NAME=VALUE each.
  [[nodiscard]] std::optional<std::vector<std::string>> environment(VirtAddr process) const;

 private:
  WindowsKernel& kernel_;
  const Reader& reader_;

  [[nodiscard]] std::optional<PhysAddr> root_of(std::optional<std::uint64_t> value) const;
  /// What `read` makes of the parameters of the process, in its own memory.
  template <class Read>
  auto in_parameters(VirtAddr process, Read read) const -> decltype(read(reader_, VirtAddr(0)));
  [[nodiscard]] std::optional<std::string> parameter(VirtAddr process, std::uint64_t offset,
                                                     std::string_view what) const;

  Result<std::vector<VirtAddr>> list_;
  Structures at_;
};

}  // namespace engram::kernel::windows
