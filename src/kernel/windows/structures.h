// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the structures of a Windows kernel (x86-64, arm64, 32-bit x86) have their members. Windows
// has no description of its types in memory: they come from the debugger's block as far as it names
// them, and from a table of builds.

#include <cstdint>
#include <optional>
#include <string>

#include "base/diagnostics.h"
#include "kernel/linux/fields.h"
#include "kernel/windows/debugger_data.h"
#include "types/symbol_file.h"

namespace engram::kernel::windows {

/// How a MMVAD_SHORT is laid out.
struct AreaLayout {
  bool is_avl_table = false;  ///< until Windows 7: the tree's root hangs in a MM_AVL_TABLE
  Field<std::uint64_t> start, end, start_high, end_high;  ///< page numbers
  Field<VirtAddr> left, right;
  Field<std::uint64_t> flags;                         ///< MMVAD_FLAGS
  unsigned type = 0, protection = 0, is_private = 0;  ///< first bits of these in the flags
  Field<VirtAddr> subsection;         ///< of a MMVAD, which begins as its short form
  Field<std::uint64_t> file_pointer;  ///< of a CONTROL_AREA; its lowest bits count references
};

/// Bits in a structure, counted from its first; none: it does not have them.
struct BitRange {
  unsigned first = 0, count = 0;
};

/// How handles, objects and registry keys are laid out; what is not here is the same in all builds
/// since Windows 7.
struct ObjectLayout {
  Field<std::uint64_t> table_code;               ///< HANDLE_TABLE
  BitRange pointer, attributes, granted_access;  ///< HANDLE_TABLE_ENTRY, two pointers wide
  bool has_cookie = false;               ///< OBJECT_HEADER.TypeIndex is encoded, since Windows 10
  Field<VirtAddr> parent_key, key_name;  ///< CM_KEY_CONTROL_BLOCK
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
  ObjectLayout object;
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
/// which they belong together, or else the likeliest if under those they are Idle. Errors: there
/// are none, or the dump lacks one of the two.
Result<Structures> find_structures_of(Bytes process, Bytes thread, std::uint32_t build,
                                      const DebuggerData& debugger_data);

/// Those that a file with the kernel's types says, of a machine of this architecture. A member that
/// it does not have is one diagnostics row. Errors: it has none of those without which there are no
/// processes.
Result<Structures> structures_of(const types::TypeDb& types, Diagnostics& diagnostics,
                                 Architecture architecture, std::uint32_t build);

/// The same of a file, which they are then said to be from. Errors: also that its types cannot be
/// read.
Result<Structures> read_structures(const types::SymbolFile& symbols, Diagnostics& diagnostics,
                                   Architecture architecture, std::uint32_t build);

/// Whether the thread says that it is one of this process, both of x86-64; their numbers are
/// multiples of 4, and not 0. Empty bytes belong to nothing.
[[nodiscard]] bool belong_together(Bytes process, Bytes thread, const Structures& with);

/// Whether they are Idle, which has the number 0, and one of its threads, which have it, too. Zeros
/// are everywhere, so this proves no more of ETHREAD than that it is not another thread's.
[[nodiscard]] bool are_idle(Bytes process, Bytes thread, const Structures& with);

/// Those that can be told from what all processes on the list hold, and what KDBG names; a
/// diagnostics row for each member that is not known. Errors: the list is too short or damaged, or
/// the numbers and names of processes are not found.
Result<Structures> structures_by_content(const paging::AddressSpace& space,
                                         Diagnostics& diagnostics, std::uint32_t build,
                                         VirtAddr process_head, const DebuggerData* debugger_data);

/// Whether OBJECT_HEADER.TypeIndex is encoded, which types of structures do not say.
bool has_type_cookie(std::uint32_t build);

/// Where the kernel's list of drivers has the time of each, which symbols do not say of all builds.
Field<std::uint32_t> driver_timestamp_of(Architecture architecture, std::uint32_t build);

/// Whether the list of processes begins with System if its members are there.
bool is_system_first(const paging::AddressSpace& space, VirtAddr process_head,
                     const Structures& structures);

}  // namespace engram::kernel::windows
