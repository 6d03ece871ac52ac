// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/structures_known.h"

namespace engram::kernel::windows {
namespace {

constexpr std::array kProcesses{
#define EPROCESS(build, size1, size2, size3, ...) \
  ProcessFamily{build, {size1, size2, size3}, __VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kArm64Processes{
#define EPROCESS_ARM64(build, size1, size2, size3, ...) \
  ProcessFamily{build, {size1, size2, size3}, __VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kX86Processes{
#define EPROCESS_X86(build, size1, size2, size3, ...) \
  ProcessFamily{build, {size1, size2, size3}, __VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kThreads{
#define ETHREAD(...) ThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kArm64Threads{
#define ETHREAD_ARM64(...) ThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kX86Threads{
#define ETHREAD_X86(...) ThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kKernelThreads{
#define KTHREAD(...) KernelThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kArm64KernelThreads{
#define KTHREAD_ARM64(...) KernelThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kX86KernelThreads{
#define KTHREAD_X86(...) KernelThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kProcessors{
#define KPRCB(...) ProcessorFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kX86Processors{
#define KPRCB_X86(...) ProcessorFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kArm64Processors{ProcessorFamily{}};  // KDBG alone says it
constexpr std::array kAreas{
#define MMVAD(...) AreaFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kX86Areas{
#define MMVAD_X86(...) AreaFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kHandles{
#define HANDLE(...) HandleFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};
constexpr std::array kX86Handles{
#define HANDLE_X86(...) HandleFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};

constexpr std::uint32_t kWindows8 = 9200, kWindows81 = 9600, kWindows10 = 10240;
constexpr std::uint32_t kWow64ProcessIsStructure = 10586;

template <class T = std::uint64_t>
Field<T> field(const char* name, std::uint64_t offset, std::uint64_t size = sizeof(T)) {
  return {name, offset == 0 ? std::nullopt : std::optional(offset), size};
}

/// The debugger's word first, the table's second.
template <class T = std::uint64_t>
Field<T> field(const char* name, const DebuggerData* block, DebuggerData::Member member,
               std::uint64_t otherwise) {
  const auto said = block != nullptr ? block->get<Offset>(member) : std::nullopt;
  return field<T>(name, said.value_or(static_cast<Offset>(otherwise)));
}

void set_areas(Structures& to, const AreaFamily& family, std::uint32_t build) {
  const bool old = build < kWindows8;
  to.area.flags = field("MMVAD_SHORT.VadFlags", family.flags, old ? 8 : 4);
  // The page numbers have 32 bits since Windows 8, with 8 more bits elsewhere since 8.1.
  to.area.start = {"MMVAD_SHORT.StartingVpn", 0x18, old ? 8U : 4U};
  to.area.end = {"MMVAD_SHORT.EndingVpn", old ? 0x20 : 0x1C, old ? 8U : 4U};
  if (build >= kWindows81) {
    to.area.start_high = {"MMVAD_SHORT.StartingVpnHigh", 0x20, 1};
    to.area.end_high = {"MMVAD_SHORT.EndingVpnHigh", 0x21, 1};
  }
}

/// On 32-bit machines.
void set_narrow_areas(Structures& to, const AreaFamily& family) {
  to.area.flags = field("MMVAD_SHORT.VadFlags", family.flags, 4);
  to.area.start = {"MMVAD_SHORT.StartingVpn", 0xC, 4};
  to.area.end = {"MMVAD_SHORT.EndingVpn", 0x10, 4};
}

/// The tree of areas: of MM_AVL_NODEs, which begin with the parent, or of RTL_BALANCED_NODEs.
void set_branches(Structures& to, std::uint32_t build, std::uint64_t pointer) {
  to.area.is_avl_table = build < kWindows81;
  const std::uint64_t first = to.area.is_avl_table ? pointer : 0;
  to.area.left = {"MMVAD_SHORT.LeftChild", first, pointer};
  to.area.right = {"MMVAD_SHORT.RightChild", first + pointer, pointer};
}

void set_handles(Structures& to, const HandleFamily& family, bool is_32_bit) {
  to.object.table_code = {"HANDLE_TABLE.TableCode", family.table_code, is_32_bit ? 4U : 8U};
  // The pointer ends the first word of an entry, behind the attributes if it is packed; those of
  // 32-bit machines have no room for one of the three.
  const unsigned word = is_32_bit ? 32 : 64, first = word - family.pointer_bits;
  const unsigned attributes = is_32_bit ? 2 : 3;
  to.object.pointer = {first, family.pointer_bits};
  if (first != 0) {
    to.object.attributes = {first - attributes, attributes};
    to.object.granted_access = {word, 25};
  } else {
    to.object.attributes = {0, 3};
    to.object.granted_access = {word, 32};
  }
  to.object.has_cookie = family.has_cookie;
  to.object.parent_key = field<VirtAddr>("CM_KEY_CONTROL_BLOCK.ParentKcb", family.parent_key);
  to.object.key_name = field<VirtAddr>("CM_KEY_CONTROL_BLOCK.NameBlock", family.key_name);
}

}  // namespace

Known known_for(Architecture architecture) {
  switch (architecture) {
    case Architecture::x86_64:
      return {architecture, kProcesses, kThreads, kKernelThreads, kProcessors, kAreas, kHandles};
    case Architecture::arm64:  // areas are as on x86-64; handles are in no public source
      return {architecture,
              kArm64Processes,
              kArm64Threads,
              kArm64KernelThreads,
              kArm64Processors,
              kAreas,
              {}};
    case Architecture::x86:
      return {architecture,   kX86Processes, kX86Threads, kX86KernelThreads,
              kX86Processors, kX86Areas,     kX86Handles};
    case Architecture::unknown:
      break;
  }
  return {};
}

void set_process(Structures& to, const Known& known, const ProcessFamily& family,
                 const DebuggerData* block) {
  using D = DebuggerData;
  const std::uint64_t root = known.architecture == Architecture::x86 ? 0x18 : 0x28;
  to.root = field("EPROCESS.DirectoryTableBase", block, D::kOffsetEprocessDirectoryTableBase, root);
  to.user_root = field("EPROCESS.UserDirectoryTableBase", family.user_root);
  to.process_id = field("EPROCESS.UniqueProcessId", family.id);
  to.parent_id = field("EPROCESS.InheritedFromUniqueProcessId", block, D::kOffsetEprocessParentCid,
                       family.parent);
  to.create_time = field("EPROCESS.CreateTime", family.create_time);
  to.exit_time = field("EPROCESS.ExitTime", family.exit_time);
  to.peb = field<VirtAddr>("EPROCESS.Peb", block, D::kOffsetEprocessPeb, family.peb);
  to.wow64_process = field<VirtAddr>("EPROCESS.WoW64Process", family.wow64);
  to.object_table = field<VirtAddr>("EPROCESS.ObjectTable", family.objects);
  to.section_base = field<VirtAddr>("EPROCESS.SectionBaseAddress", family.section_base);
  to.vad_root = field<VirtAddr>("EPROCESS.VadRoot", family.vads);
  to.token = field("EPROCESS.Token", family.token);
  to.image_name = {"EPROCESS.ImageFileName", family.name, 15};
  to.process_links = family.links;
  to.thread_list = family.threads;
  to.wow64_is_peb = family.build < kWow64ProcessIsStructure;
  set_pointer_size(to, pointer_size(known.architecture));
}

void set_thread(Structures& to, const Known& known, const ThreadFamily& family) {
  to.thread_links = family.links;
  to.thread_process_id = field("ETHREAD.Cid.UniqueProcess", family.id);
  to.thread_id = field("ETHREAD.Cid.UniqueThread", family.id + pointer_size(known.architecture));
  to.thread_create_time = field("ETHREAD.CreateTime", family.create_time);
  to.start_address = field<VirtAddr>("ETHREAD.StartAddress", family.start);
  to.win32_start_address = field<VirtAddr>("ETHREAD.Win32StartAddress", family.win32_start);
  set_pointer_size(to, pointer_size(known.architecture));
}

void set_said(Structures& to, Architecture architecture, const DebuggerData* block,
              const KernelThreadFamily& otherwise, const ProcessorFamily& processor) {
  using D = DebuggerData;
  const bool is_32_bit = architecture == Architecture::x86;
  to.teb = field<VirtAddr>("KTHREAD.Teb", block, D::kOffsetKThreadTeb, otherwise.teb);
  to.stack_base =
      field<VirtAddr>("KTHREAD.StackBase", block, D::kOffsetKThreadStackBase, otherwise.stack_base);
  to.kernel_stack = field<VirtAddr>("KTHREAD.KernelStack", block, D::kOffsetKThreadKernelStack,
                                    otherwise.kernel_stack);
  to.initial_stack = field<VirtAddr>("KTHREAD.InitialStack", block, D::kOffsetKThreadInitialStack,
                                     otherwise.initial_stack);
  to.thread_process = field<VirtAddr>("KTHREAD.ApcState.Process", block,
                                      D::kOffsetKThreadApcProcess, otherwise.process);
  to.thread_state =
      field<std::uint8_t>("KTHREAD.State", block, D::kOffsetKThreadState, otherwise.state);
  to.wait_reason = field<std::uint8_t>("KTHREAD.WaitReason", block, D::kOffsetKThreadWaitReason,
                                       otherwise.wait_reason);
  to.current_thread = field<VirtAddr>("KPRCB.CurrentThread", block, D::kOffsetPrcbCurrentThread,
                                      is_32_bit ? 0x4 : 0x8);
  to.context = field<VirtAddr>("KPRCB.Context", block, D::kOffsetPrcbContext, processor.context);
  to.processor_number =
      field<std::uint32_t>("KPRCB.Number", block, D::kOffsetPrcbNumber, is_32_bit ? 0x3CC : 0x24);
  to.processor_context =
      field("KPRCB.ProcessorState.ContextFrame", block, D::kOffsetPrcbProcStateContext,
            processor.state + processor.state_context)
          .offset;
  to.special_registers = field("KPRCB.ProcessorState.SpecialRegisters", block,
                               D::kOffsetPrcbProcStateSpecialReg, processor.state)
                             .offset;
  if (architecture != Architecture::x86_64) to.special_registers.reset();
  set_pointer_size(to, pointer_size(architecture));
}

void set_others(Structures& to, const Known& known, std::uint32_t build,
                const DebuggerData* block) {
  set_said(to, known.architecture, block, family_of(known.kernel_threads, build),
           family_of(known.processors, build));
  const auto& areas = family_of(known.areas, build);
  const bool is_32_bit = known.architecture == Architecture::x86;
  if (is_32_bit) {
    set_narrow_areas(to, areas);
  } else {
    set_areas(to, areas, build);
  }
  set_branches(to, build, pointer_size(known.architecture));
  to.area.type = areas.type;
  to.area.protection = areas.protection;
  to.area.is_private = areas.is_private;
  to.area.subsection = field<VirtAddr>("MMVAD.Subsection", areas.subsection);
  to.area.file_pointer = field("CONTROL_AREA.FilePointer", areas.file_pointer);
  if (!known.handles.empty()) set_handles(to, family_of(known.handles, build), is_32_bit);
  to.driver_timestamp = driver_timestamp_of(known.architecture, build);
  set_pointer_size(to, pointer_size(known.architecture));
}

void set_pointer_size(Structures& to, std::uint64_t size) {
  for (auto* number : {&to.root, &to.user_root, &to.process_id, &to.parent_id, &to.token,
                       &to.thread_process_id, &to.thread_id, &to.area.file_pointer}) {
    number->size = size;
  }
  for (auto* pointer :
       {&to.peb, &to.wow64_process, &to.object_table, &to.section_base, &to.vad_root,
        &to.start_address, &to.win32_start_address, &to.teb, &to.stack_base, &to.kernel_stack,
        &to.initial_stack, &to.thread_process, &to.current_thread, &to.context, &to.area.subsection,
        &to.object.parent_key, &to.object.key_name}) {
    pointer->size = size;
  }
}

bool has_type_cookie(std::uint32_t build) {
  return family_of(kHandles, build).has_cookie;
}

Field<std::uint32_t> driver_timestamp_of(Architecture architecture, std::uint32_t build) {
  constexpr const char* kName = "KLDR_DATA_TABLE_ENTRY.TimeDateStamp";
  if (architecture != Architecture::x86)
    return field<std::uint32_t>(kName, build < kWindows8 ? 0x80 : 0x9C);
  // Before Windows 8 a LDR_DATA_TABLE_ENTRY; of 8 and 8.1 the public symbols do not say it.
  if (build < kWindows8) return field<std::uint32_t>(kName, 0x44);
  return field<std::uint32_t>(kName, build < kWindows10 ? 0 : 0x58);
}

}  // namespace engram::kernel::windows
