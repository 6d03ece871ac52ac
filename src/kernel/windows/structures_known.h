// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The table of builds (structures.def): what it has for each kind of machine, and how a line of it
// becomes members.

#include <array>
#include <cstdint>
#include <span>

#include "base/units.h"
#include "kernel/windows/kernel_values.h"
#include "kernel/windows/structures.h"

namespace engram::kernel::windows {

using Offset = std::uint16_t;  // 0: not known

/// EPROCESS of a family of builds; `build` is the first that has it, as in all that follow.
struct ProcessFamily {
  std::uint32_t build;
  std::array<Offset, 3> sizes;
  Offset id, links, create_time, exit_time, parent, peb, wow64, name, threads, vads, objects, token,
      section_base, user_root;
};

struct ThreadFamily {
  std::uint32_t build;
  Offset id, links, start, win32_start, create_time;
};

/// KTHREAD of kernels whose debugger's block does not say.
struct KernelThreadFamily {
  std::uint32_t build;
  Offset teb, stack_base, kernel_stack, initial_stack, process, state, wait_reason;
};

/// KPRCB of such kernels.
struct ProcessorFamily {
  std::uint32_t build;
  Offset context, state, state_context;
};

struct AreaFamily {
  std::uint32_t build;
  Offset flags;
  unsigned type, protection, is_private;
  Offset subsection, file_pointer;
};

struct HandleFamily {
  std::uint32_t build;
  std::uint64_t table_code;  ///< 0 is an offset here
  unsigned pointer_bits;     ///< in an entry; fewer than a pointer has: it is packed
  bool has_cookie;
  Offset parent_key, key_name;
};

/// What the table has for one kind of machine; nothing for one that it does not know.
struct Known {
  Architecture architecture = Architecture::unknown;
  std::span<const ProcessFamily> processes;
  std::span<const ThreadFamily> threads;
  std::span<const KernelThreadFamily> kernel_threads;
  std::span<const ProcessorFamily> processors;
  std::span<const AreaFamily> areas;
  std::span<const HandleFamily> handles;
};

[[nodiscard]] Known known_for(Architecture architecture);

/// That of the last build that is not newer; of the oldest if all are. There must be one.
template <class Families>
const auto& family_of(const Families& families, std::uint32_t build) {
  const auto* found = &families[0];
  for (const auto& family : families) {
    if (family.build <= build) found = &family;
  }
  return *found;
}

/// Members of the parts of an EPROCESS and an ETHREAD that these lines have; what the debugger's
/// block says comes first.
void set_process(Structures& to, const Known& known, const ProcessFamily& family,
                 const DebuggerData* block);
void set_thread(Structures& to, const Known& known, const ThreadFamily& family);
/// What depends on the build and on the debugger's block alone.
void set_others(Structures& to, const Known& known, std::uint32_t build, const DebuggerData* block);

/// What the debugger's block names of EPROCESS, KTHREAD and KPRCB. `otherwise` and `processor` are
/// for kernels whose block does not say, or that have none.
void set_said(Structures& to, Architecture architecture, const DebuggerData* block,
              const KernelThreadFamily& otherwise, const ProcessorFamily& processor);

/// Gives all members that are pointers, or as wide, their width on this machine: 4 or 8 bytes.
void set_pointer_size(Structures& to, std::uint64_t size);

}  // namespace engram::kernel::windows
