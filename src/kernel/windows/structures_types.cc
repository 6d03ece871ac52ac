// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Members of the kernel's structures by their names in a file of its types. A file of PDB or ISF
// has all names that Microsoft publishes; those of some versions only are named here with them.

#include <fmt/core.h>

#include "kernel/windows/kernel_values.h"
#include "kernel/windows/structures.h"

namespace engram::kernel::windows {
namespace {

using types::TypeDb;

void set_process(Structures& to, const Layout& process, std::uint64_t pointer) {
  to.root = process.field<std::uint64_t>("Pcb.DirectoryTableBase");
  // Since the patches of January 2018.
  to.user_root = process.optional_field<std::uint64_t>("Pcb.UserDirectoryTableBase");
  to.process_id = process.field<std::uint64_t>("UniqueProcessId");
  to.parent_id = process.field<std::uint64_t>("InheritedFromUniqueProcessId");
  to.create_time = process.field<std::uint64_t>("CreateTime");
  to.exit_time = process.field<std::uint64_t>("ExitTime");
  to.peb = process.field<VirtAddr>("Peb");
  if (pointer == sizeof(std::uint64_t))
    to.wow64_process = process.first_of<VirtAddr>({"WoW64Process", "Wow64Process"});  // 10; 8.1
  to.object_table = process.field<VirtAddr>("ObjectTable");
  to.section_base = process.field<VirtAddr>("SectionBaseAddress");
  to.token = process.field<std::uint64_t>("Token");
  to.image_name = process.text("ImageFileName");
  to.vad_root = {"EPROCESS.VadRoot", process.offset_of("VadRoot"), pointer};
}

void set_thread(Structures& to, const Layout& thread) {
  to.thread_links = thread.offset_of("ThreadListEntry");
  to.thread_process_id = thread.field<std::uint64_t>("Cid.UniqueProcess");
  to.thread_id = thread.field<std::uint64_t>("Cid.UniqueThread");
  to.thread_create_time = thread.field<std::uint64_t>("CreateTime");
  to.start_address = thread.field<VirtAddr>("StartAddress");
  to.win32_start_address = thread.field<VirtAddr>("Win32StartAddress");
  to.teb = thread.field<VirtAddr>("Tcb.Teb");
  to.stack_base = thread.field<VirtAddr>("Tcb.StackBase");
  to.kernel_stack = thread.field<VirtAddr>("Tcb.KernelStack");
  to.initial_stack = thread.field<VirtAddr>("Tcb.InitialStack");
  to.thread_process = thread.optional_field<VirtAddr>("Tcb.ApcState.Process");
  to.thread_state = thread.field<std::uint8_t>("Tcb.State");
  to.wait_reason = thread.field<std::uint8_t>("Tcb.WaitReason");
}

void set_processor(Structures& to, const Layout& processor) {
  to.current_thread = processor.field<VirtAddr>("CurrentThread");
  to.context = processor.field<VirtAddr>("Context");
  to.processor_number = processor.field<std::uint32_t>("Number");
  to.processor_context = processor.offset_of("ProcessorState.ContextFrame");
  to.special_registers = processor.offset_of("ProcessorState.SpecialRegisters");
}

/// The first bit of a member of MMVAD_FLAGS.
unsigned flag_of(const TypeDb& types, std::string_view name, Field<std::uint64_t>& flags) {
  const auto member = types.find_member("_MMVAD_FLAGS", name);
  if (!member) flags.offset.reset();  // what is in them is not known
  return member ? static_cast<unsigned>(member->bit_offset) : 0;
}

/// Where files of areas are.
void set_files(Structures& to, const TypeDb& types, Diagnostics& diagnostics,
               std::uint64_t pointer) {
  to.area.subsection = Layout(types, diagnostics, "_MMVAD").field<VirtAddr>("Subsection");
  const Layout control(types, diagnostics, "_CONTROL_AREA");
  to.area.file_pointer = {"CONTROL_AREA.FilePointer", control.offset_of("FilePointer"),
                          pointer};  // EX_FAST_REF
}

void set_areas(Structures& to, const TypeDb& types, const Layout& area) {
  to.area.start = area.field<std::uint64_t>("StartingVpn");
  to.area.end = area.field<std::uint64_t>("EndingVpn");
  // Since 8.1, of 64-bit machines.
  to.area.start_high = area.optional_field<std::uint64_t>("StartingVpnHigh");
  to.area.end_high = area.optional_field<std::uint64_t>("EndingVpnHigh");
  // Since 8.1 in a RTL_BALANCED_NODE; in 8 in a MM_AVL_NODE, before that in itself, and both in a
  // MM_AVL_TABLE.
  to.area.left = area.first_of<VirtAddr>({"VadNode.Left", "VadNode.LeftChild", "LeftChild"});
  to.area.right = area.first_of<VirtAddr>({"VadNode.Right", "VadNode.RightChild", "RightChild"});
  to.area.is_avl_table =
      types.find_struct("_MM_AVL_TABLE") && !area.optional_field<VirtAddr>("VadNode.Left");
  to.area.flags = area.field<std::uint64_t>("u.VadFlags");
  to.area.type = flag_of(types, "VadType", to.area.flags);
  to.area.protection = flag_of(types, "Protection", to.area.flags);
  to.area.is_private = flag_of(types, "PrivateMemory", to.area.flags);
}

BitRange bits_of(const TypeDb& types, std::string_view name) {
  const auto member = types.find_member("_HANDLE_TABLE_ENTRY", name);
  if (!member) return {};
  const auto bytes = types.size_of(member->type).value_or(0);
  const auto count = member->bit_size != 0 ? member->bit_size : static_cast<unsigned>(bytes * 8);
  return {static_cast<unsigned>(member->bit_offset), count};
}

void set_objects(Structures& to, const TypeDb& types, Diagnostics& diagnostics) {
  to.object.table_code =
      Layout(types, diagnostics, "_HANDLE_TABLE").field<std::uint64_t>("TableCode");
  // Bits since 8; before that the pointer itself, whose low bits are the attributes.
  to.object.pointer = bits_of(types, "ObjectPointerBits");
  if (to.object.pointer.count != 0) {
    to.object.attributes = bits_of(types, "Attributes");
    to.object.granted_access = bits_of(types, "GrantedAccessBits");
  } else {
    to.object.pointer = bits_of(types, "Object");
    to.object.attributes = {to.object.pointer.first, 3};
    to.object.granted_access = bits_of(types, "GrantedAccess");
  }
  const Layout key(types, diagnostics, "_CM_KEY_CONTROL_BLOCK");
  to.object.parent_key = key.field<VirtAddr>("ParentKcb");
  to.object.key_name = key.field<VirtAddr>("NameBlock");
}

}  // namespace

Result<Structures> structures_of(const TypeDb& types, Diagnostics& diagnostics,
                                 Architecture architecture, std::uint32_t build) {
  const std::uint64_t pointer = pointer_size(architecture);
  Structures to;
  const Layout process(types, diagnostics, "_EPROCESS");
  set_process(to, process, pointer);
  const auto links = process.offset_of("ActiveProcessLinks");
  const auto threads = process.offset_of("ThreadListHead");
  if (!links || !threads || !to.process_id || !to.image_name || !to.root) {
    return fail("it has no structure _EPROCESS with the members that a list of processes needs");
  }
  to.process_links = *links;
  to.thread_list = *threads;
  to.wow64_is_peb = !types.find_struct("_EWOW64PROCESS");
  set_thread(to, Layout(types, diagnostics, "_ETHREAD"));
  set_processor(to, Layout(types, diagnostics, "_KPRCB"));
  set_areas(to, types, Layout(types, diagnostics, "_MMVAD_SHORT"));
  set_files(to, types, diagnostics, pointer);
  set_objects(to, types, diagnostics);
  if (architecture != Architecture::x86_64) to.special_registers.reset();
  // Published since Windows 10.
  if (types.find_struct("_KLDR_DATA_TABLE_ENTRY")) {
    to.driver_timestamp =
        Layout(types, diagnostics, "_KLDR_DATA_TABLE_ENTRY").field<std::uint32_t>("TimeDateStamp");
  } else {
    to.driver_timestamp = driver_timestamp_of(architecture, build);
  }
  return to;
}

Result<Structures> read_structures(const types::SymbolFile& symbols, Diagnostics& diagnostics,
                                   Architecture architecture, std::uint32_t build) {
  const auto types = symbols.types();
  if (!types) return fail("{}: {}", symbols.path, types.error().text);
  for (const auto& note : symbols.notes)
    diagnostics.add(Level::info, "symbols", fmt::format("{}: {}", symbols.path, note));
  auto found = structures_of(*types, diagnostics, architecture, build);
  if (!found) return fail("{}: {}", symbols.path, found.error().text);
  found->source = fmt::format("file: {} ({} {})", symbols.path, symbols.format,
                              symbols.pdb ? symbols.pdb->key() : "");
  return found;
}

}  // namespace engram::kernel::windows
