// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the structures of a Windows kernel (x86-64, arm64) have their members. Windows has no
// description of its types in memory: they come from the debugger's block as far as it names them,
// and from a table of builds.

#include <cstdint>
#include <optional>
#include <string>

#include "base/diagnostics.h"
#include "kernel/linux/fields.h"
#include "kernel/windows/debugger_data.h"

namespace engram::kernel::windows {

/// How the flags of a MMVAD_SHORT are laid out.
struct AreaLayout {
  bool is_avl_table = false;   ///< until Windows 7: the tree's root hangs in a MM_AVL_TABLE
  Field<std::uint64_t> flags;  ///< MMVAD_FLAGS
  unsigned type = 0, protection = 0, is_private = 0;  ///< first bits of these in the flags
};

struct Structures {
  std::string source;  ///< for people: where the offsets come from

  // EPROCESS
  Field<std::uint64_t> root, user_root;
  Field<std::uint64_t> process_id, parent_id;
  Field<std::uint64_t> create_time, exit_time;
  Field<VirtAddr> peb, wow64_process, object_table, section_base, vad_root;
  Field<std::uint64_t> token;
  TextField image_name;
  std::uint64_t process_links = 0;
  std::uint64_t thread_list = 0;
  bool wow64_is_peb = false;  ///< WoW64Process is the 32-bit PEB itself

  // ETHREAD
  std::optional<std::uint64_t> thread_links;  ///< nothing if it is not known for this kernel
  Field<std::uint64_t> thread_process_id, thread_id, thread_create_time;
  Field<VirtAddr> start_address, win32_start_address, teb, stack_base, kernel_stack, initial_stack;
  Field<VirtAddr> thread_process;  ///< the EPROCESS in whose memory it runs
  Field<std::uint8_t> thread_state, wait_reason;

  // KPRCB
  Field<VirtAddr> current_thread, context;
  Field<std::uint32_t> processor_number;
  std::optional<std::uint64_t> processor_context;
  std::optional<std::uint64_t> special_registers;  ///< of x86-64 only

  // KLDR_DATA_TABLE_ENTRY
  Field<std::uint32_t> driver_timestamp;

  AreaLayout area;
};

/// The offsets for the kernel of this build, whose list of processes begins at `process_head`: of
/// all in the table those that fit, in the order in which they are likely, the first under which
/// the first process is System. Errors: nothing fits, or the table has nothing for this machine;
/// the text says what was tried.
/// The machine is that of space.mode().
Result<Structures> find_structures(const paging::AddressSpace& space, Diagnostics& diagnostics,
                                   std::uint32_t build, VirtAddr process_head,
                                   const DebuggerData* debugger_data);

/// The same for a small dump, which has one process and one thread of it: the first offsets under
/// which they belong together. Errors: there are none, or the dump lacks one of the two.
Result<Structures> find_structures_of(Bytes process, Bytes thread, std::uint32_t build,
                                      const DebuggerData& debugger_data);

}  // namespace engram::kernel::windows
