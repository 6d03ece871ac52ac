// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Threads of a Windows kernel: ETHREAD.

#include <optional>
#include <string_view>
#include <vector>

#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

struct Thread {
  VirtAddr address;  ///< ETHREAD
  VirtAddr process;  ///< EPROCESS
};

/// Name of a value of KTHREAD.State (KTHREAD_STATE); nothing for one that no kernel has.
[[nodiscard]] std::optional<std::string_view> thread_state_name(std::uint8_t state);

class Threads {
 public:
  explicit Threads(WindowsKernel& kernel);

  /// Whether it is known where a process lists its threads.
  [[nodiscard]] bool is_known() const { return at_.thread_links.has_value(); }
  /// Those that the process lists, in its order; in a small dump the one that ran.
  [[nodiscard]] std::vector<Thread> of(VirtAddr process) const;

  // Nothing: the member is not known or cannot be read, or is NULL.

  [[nodiscard]] std::optional<std::uint64_t> id(const Thread& thread) const {
    return reader_.get(thread.address, at_.thread_id);
  }
  [[nodiscard]] std::optional<std::uint64_t> process_id(const Thread& thread) const {
    return reader_.get(thread.address, at_.thread_process_id);
  }
  /// 100 ns since 1601.
  [[nodiscard]] std::optional<std::uint64_t> create_time(const Thread& thread) const {
    return reader_.get(thread.address, at_.thread_create_time);
  }
  [[nodiscard]] std::optional<VirtAddr> start_address(const Thread& thread) const {
    return reader_.follow(thread.address, at_.start_address);
  }
  [[nodiscard]] std::optional<VirtAddr> win32_start_address(const Thread& thread) const {
    return reader_.follow(thread.address, at_.win32_start_address);
  }
  [[nodiscard]] std::optional<VirtAddr> teb(const Thread& thread) const {
    return reader_.follow(thread.address, at_.teb);
  }
  [[nodiscard]] std::optional<VirtAddr> stack_base(const Thread& thread) const {
    return reader_.follow(thread.address, at_.stack_base);
  }
  [[nodiscard]] std::optional<VirtAddr> kernel_stack(const Thread& thread) const {
    return reader_.follow(thread.address, at_.kernel_stack);
  }
  [[nodiscard]] std::optional<std::uint8_t> state(const Thread& thread) const {
    return reader_.get(thread.address, at_.thread_state);
  }
  [[nodiscard]] std::optional<std::uint8_t> wait_reason(const Thread& thread) const {
    return reader_.get(thread.address, at_.wait_reason);
  }

 private:
  WindowsKernel& kernel_;
  const Reader& reader_;
  Structures at_;
};

}  // namespace engram::kernel::windows
