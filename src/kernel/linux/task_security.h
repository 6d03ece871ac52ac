// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What tasks may do, and who traces them.

#include <cstdint>
#include <optional>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

/// Capabilities as bits (include/uapi/linux/capability.h); nothing for a set that cannot be read.
struct CapabilitySets {
  std::optional<std::uint64_t> effective, permitted, inheritable, bounding, ambient;
};

class TaskSecurity {
 public:
  TaskSecurity(Reader reader, const types::TypeDb& types);

  /// Of the objective credentials (real_cred), as /proc/PID/status shows them.
  [[nodiscard]] CapabilitySets capabilities(VirtAddr task) const;
  /// PT_* bits (include/linux/ptrace.h); 0 for a task that nobody traces.
  [[nodiscard]] std::optional<std::uint32_t> ptrace_flags(VirtAddr task) const {
    return reader_.get(task, ptrace_);
  }
  /// The task_struct of the thread that traces it.
  [[nodiscard]] std::optional<VirtAddr> tracer(VirtAddr task) const;

 private:
  Reader reader_;
  Field<VirtAddr> credentials_, parent_;
  Field<std::uint64_t> effective_, permitted_, inheritable_, bounding_, ambient_;
  Field<std::uint32_t> ptrace_;
};

}  // namespace engram::kernel
