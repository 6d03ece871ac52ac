// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Namespaces: in which each task is.

#include <array>
#include <cstdint>
#include <optional>

#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

enum class NamespaceKind : std::uint8_t {
  cgroup,
  ipc,
  mount,
  network,
  pid,  ///< of the task itself
  pid_for_children,
  time,
  time_for_children,
  user,
  uts,
};

class Namespaces {
 public:
  explicit Namespaces(LinuxKernel& kernel);

  /// The structure of the namespace. Nothing: it cannot be read, or there is none: a zombie has
  /// only its user and PID namespaces.
  [[nodiscard]] std::optional<VirtAddr> of_task(VirtAddr task, NamespaceKind kind) const;
  /// Its inode number, as /proc/PID/ns shows it.
  [[nodiscard]] std::optional<std::uint32_t> inode(VirtAddr name_space, NamespaceKind kind) const;

 private:
  static constexpr std::size_t kKinds = 10;

  [[nodiscard]] std::optional<VirtAddr> pid_namespace(VirtAddr task) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  Field<VirtAddr> nsproxy_, real_cred_, user_;
  Field<VirtAddr> number_namespace_;
  std::array<Field<VirtAddr>, kKinds> in_nsproxy_;
  std::array<Field<std::uint32_t>, kKinds> inode_;
};

}  // namespace engram::kernel
