// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/structures.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace engram::kernel::windows {
namespace {

using Offset = std::uint16_t;  // 0: not known

/// EPROCESS of a family of builds.
struct ProcessFamily {
  std::uint32_t build;  ///< the first that has it
  std::array<Offset, 3> sizes;
  Offset id, links, create_time, exit_time, parent, peb, wow64, name, threads, vads, objects, token,
      section_base, user_root;
};

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

struct ThreadFamily {
  std::uint32_t build;
  Offset id, links, start, win32_start, create_time;
};

constexpr std::array kThreads{
#define ETHREAD(...) ThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};

constexpr std::array kArm64Threads{
#define ETHREAD_ARM64(...) ThreadFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};

struct AreaFamily {
  std::uint32_t build;
  Offset flags;
  unsigned type, protection, is_private;
};

constexpr std::array kAreas{
#define MMVAD(...) AreaFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};

/// KPRCB of kernels whose debugger's block does not say.
struct ProcessorFamily {
  std::uint32_t build;
  Offset context, state, state_context;
};

constexpr std::array kProcessors{
#define KPRCB(...) ProcessorFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};

/// What the table has for one kind of machine.
struct Known {
  std::span<const ProcessFamily> processes;
  std::span<const ThreadFamily> threads;
  bool is_arm64;
};

Known known_for(Architecture architecture) {
  switch (architecture) {
    case Architecture::x86_64:
      return {kProcesses, kThreads, false};
    case Architecture::arm64:
      return {kArm64Processes, kArm64Threads, true};
    case Architecture::x86:
    case Architecture::unknown:
      break;
  }
  return {};
}
struct HandleFamily {
  std::uint32_t build;
  std::uint64_t table_code;  ///< 0 is an offset here
  bool is_packed, has_cookie;
  Offset parent_key, key_name;
};

constexpr std::array kHandles{
#define HANDLE(...) HandleFamily{__VA_ARGS__},
#include "kernel/windows/structures.def"
};

constexpr std::uint32_t kWindows8 = 9200;
constexpr std::uint32_t kWow64ProcessIsStructure = 10586;
constexpr std::uint64_t kSystemId = 4;
constexpr std::uint64_t kProcessType = 3;  // DISPATCHER_HEADER.Type of a KPROCESS

/// That of the last build that is not newer; of the oldest if all are.
template <class Families>
const auto& family_of(const Families& families, std::uint32_t build) {
  const auto* found = &families[0];
  for (const auto& family : families) {
    if (family.build <= build) found = &family;
  }
  return *found;
}

template <class T = std::uint64_t>
Field<T> field(const char* name, std::uint64_t offset, std::uint64_t size = sizeof(T)) {
  return {name, offset == 0 ? std::nullopt : std::optional(offset), size};
}

/// The debugger's word first, the table's second.
template <class T = std::uint64_t>
Field<T> field(const char* name, const DebuggerData* block, DebuggerData::Member member,
               std::uint64_t otherwise, std::uint64_t size = sizeof(T)) {
  const auto said = block != nullptr ? block->get<Offset>(member) : std::nullopt;
  return field<T>(name, said.value_or(static_cast<Offset>(otherwise)), size);
}

void set_process(Structures& to, const ProcessFamily& family, const DebuggerData* block) {
  using D = DebuggerData;
  to.root = field("EPROCESS.DirectoryTableBase", block, D::kOffsetEprocessDirectoryTableBase, 0x28);
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
}

void set_thread(Structures& to, const ThreadFamily& family) {
  to.thread_links = family.links;
  to.thread_process_id = field("ETHREAD.Cid.UniqueProcess", family.id);
  to.thread_id = field("ETHREAD.Cid.UniqueThread", family.id + 8U);
  to.thread_create_time = field("ETHREAD.CreateTime", family.create_time);
  to.start_address = field<VirtAddr>("ETHREAD.StartAddress", family.start);
  to.win32_start_address = field<VirtAddr>("ETHREAD.Win32StartAddress", family.win32_start);
}

/// KTHREAD, with which an ETHREAD begins.
void set_kernel_thread(Structures& to, std::uint32_t build, const DebuggerData* block,
                       bool is_arm64) {
  using D = DebuggerData;
  // Without the debugger's block: Windows 7's, or later ones'; arm64 has others, not known here.
  const auto otherwise = [&](Offset old, Offset later) -> Offset {
    if (is_arm64) return 0;
    return build < kWindows8 ? old : later;
  };
  to.teb = field<VirtAddr>("KTHREAD.Teb", block, D::kOffsetKThreadTeb, otherwise(0xB8, 0xF0));
  to.stack_base = field<VirtAddr>("KTHREAD.StackBase", block, D::kOffsetKThreadStackBase,
                                  otherwise(0x278, 0x38));
  to.kernel_stack = field<VirtAddr>("KTHREAD.KernelStack", block, D::kOffsetKThreadKernelStack,
                                    otherwise(0x38, 0x58));
  to.initial_stack =
      field<VirtAddr>("KTHREAD.InitialStack", block, D::kOffsetKThreadInitialStack, 0x28);
  to.thread_process = field<VirtAddr>("KTHREAD.ApcState.Process", block,
                                      D::kOffsetKThreadApcProcess, otherwise(0x70, 0xB8));
  to.thread_state =
      field<std::uint8_t>("KTHREAD.State", block, D::kOffsetKThreadState, otherwise(0x164, 0x184));
  to.wait_reason = field<std::uint8_t>("KTHREAD.WaitReason", block, D::kOffsetKThreadWaitReason, 0);
}

void set_processor(Structures& to, std::uint32_t build, const DebuggerData* block, bool is_arm64) {
  using D = DebuggerData;
  const auto family = is_arm64 ? ProcessorFamily{} : family_of(kProcessors, build);
  to.current_thread =
      field<VirtAddr>("KPRCB.CurrentThread", block, D::kOffsetPrcbCurrentThread, 0x8);
  to.context = field<VirtAddr>("KPRCB.Context", block, D::kOffsetPrcbContext, family.context);
  to.processor_number = field<std::uint32_t>("KPRCB.Number", block, D::kOffsetPrcbNumber, 0x24);
  to.processor_context = field("KPRCB.ProcessorState.ContextFrame", block,
                               D::kOffsetPrcbProcStateContext, family.state + family.state_context)
                             .offset;
  to.special_registers = field("KPRCB.ProcessorState.SpecialRegisters", block,
                               D::kOffsetPrcbProcStateSpecialReg, family.state)
                             .offset;
  if (is_arm64) to.special_registers.reset();
}

void set_areas(Structures& to, std::uint32_t build) {
  const auto& family = family_of(kAreas, build);
  const bool old = build < kWindows8;
  to.area.is_avl_table = old;
  to.area.flags = field("MMVAD_SHORT.VadFlags", family.flags, old ? 8 : 4);
  to.area.type = family.type;
  to.area.protection = family.protection;
  to.area.is_private = family.is_private;
  // The page numbers have 32 bits since Windows 8, with 8 more bits elsewhere since 8.1.
  to.area.start = {"MMVAD_SHORT.StartingVpn", 0x18, old ? 8U : 4U};
  to.area.end = {"MMVAD_SHORT.EndingVpn", old ? 0x20 : 0x1C, old ? 8U : 4U};
  if (!old) {
    to.area.start_high = {"MMVAD_SHORT.StartingVpnHigh", 0x20, 1};
    to.area.end_high = {"MMVAD_SHORT.EndingVpnHigh", 0x21, 1};
  }
  const std::uint64_t first = old ? 8 : 0;
  to.area.left = {"MMVAD_SHORT.LeftChild", first};
  to.area.right = {"MMVAD_SHORT.RightChild", first + 8};
}

/// Whether the first thread of the first process says that it is one of System's.
bool is_thread_of_system(const paging::AddressSpace& space, VirtAddr head, const Structures& with,
                         const ThreadFamily& family) {
  const auto first = space.load<std::uint64_t>(head);
  if (!first) return false;
  const VirtAddr list = VirtAddr(*first) - with.process_links + with.thread_list;
  const auto links = space.load<std::uint64_t>(list);
  if (!links || *links == list.value) return false;
  const auto id = space.load<std::uint64_t>(VirtAddr(*links) - family.links + family.id);
  return id == kSystemId;
}

void set_objects(Structures& to, std::uint32_t build) {
  const auto& family = family_of(kHandles, build);
  to.object.table_code = {"HANDLE_TABLE.TableCode", family.table_code};
  if (family.is_packed) {
    to.object.pointer = {20, 44};
    to.object.attributes = {17, 3};
    to.object.granted_access = {64, 25};
  } else {
    to.object.pointer = {0, 64};
    to.object.attributes = {0, 3};
    to.object.granted_access = {64, 32};
  }
  to.object.has_cookie = family.has_cookie;
  to.object.parent_key = field<VirtAddr>("CM_KEY_CONTROL_BLOCK.ParentKcb", family.parent_key);
  to.object.key_name = field<VirtAddr>("CM_KEY_CONTROL_BLOCK.NameBlock", family.key_name);
}

struct Candidate {
  const ProcessFamily* family = nullptr;
  const char* why = "";
};

/// What the debugger's block names comes first, then the build, then whatever there is.
std::vector<Candidate> candidates(std::span<const ProcessFamily> known, std::uint32_t build,
                                  const DebuggerData* block) {
  std::vector<Candidate> all;
  const auto add = [&](const ProcessFamily& family, const char* why) {
    const auto is_same = [&](const Candidate& other) { return other.family == &family; };
    if (std::none_of(all.begin(), all.end(), is_same)) all.push_back({&family, why});
  };
  if (block != nullptr) {
    const auto size = block->get<Offset>(DebuggerData::kSizeEProcess).value_or(0);
    const auto peb = block->get<Offset>(DebuggerData::kOffsetEprocessPeb);
    const auto parent = block->get<Offset>(DebuggerData::kOffsetEprocessParentCid);
    for (const bool exact : {true, false}) {
      for (const auto& family : known) {
        const bool has_size =
            size != 0 && std::count(family.sizes.begin(), family.sizes.end(), size) != 0;
        if (peb == family.peb && parent == family.parent && (has_size || !exact)) {
          add(family, exact ? "the debugger's block: size and members of EPROCESS"
                            : "the debugger's block: members of EPROCESS");
        }
      }
    }
  }
  add(family_of(known, build), "the build");
  for (const auto& family : known) add(family, "tried, and right for the first process");
  return all;
}

/// That of the build first.
std::vector<const ThreadFamily*> likely_threads(std::span<const ThreadFamily> known,
                                                std::uint32_t build) {
  const auto& likely = family_of(known, build);
  std::vector<const ThreadFamily*> order{&likely};
  for (const auto& family : known) {
    if (&family != &likely) order.push_back(&family);
  }
  return order;
}

/// The thread family under which the first thread is System's, that of the build first.
void choose_thread(const paging::AddressSpace& space, Diagnostics& diagnostics,
                   std::span<const ThreadFamily> known, std::uint32_t build, VirtAddr head,
                   Structures& to) {
  const auto& likely = family_of(known, build);
  for (const auto* family : likely_threads(known, build)) {
    if (!is_thread_of_system(space, head, to, *family)) continue;
    set_thread(to, *family);
    if (family != &likely) {
      diagnostics.add(
          Level::info, "windows",
          fmt::format("ETHREAD: as in build {}: right for System's first thread", family->build));
    }
    return;
  }
  set_thread(to, likely);
  diagnostics.add(Level::warning, "windows",
                  fmt::format("ETHREAD: as in build {}, which System's first thread does not prove",
                              likely.build));
}

/// What depends on the build and on the debugger's block alone.
void set_others(Structures& to, std::uint32_t build, const DebuggerData* block, bool is_arm64) {
  set_kernel_thread(to, build, block, is_arm64);
  set_processor(to, build, block, is_arm64);
  set_areas(to, build);
  if (!is_arm64) set_objects(to, build);
  to.driver_timestamp = driver_timestamp_of(build);
}

/// Whether the thread says that it is one of this process; numbers of both are multiples of 4.
bool belong_together(Bytes process, Bytes thread, const Structures& with) {
  constexpr std::uint64_t kMostIds = std::uint64_t{1} << 32;
  const auto id = load<std::uint64_t>(process, *with.process_id.offset);
  const auto owner = load<std::uint64_t>(thread, *with.thread_process_id.offset);
  const auto number = load<std::uint64_t>(thread, *with.thread_id.offset);
  return id && owner && number && *id == *owner && *id % 4 == 0 && *number % 4 == 0 &&
         *id < kMostIds && *number < kMostIds && *number != 0;
}

}  // namespace

Result<Structures> find_structures_of(Bytes process, Bytes thread, std::uint32_t build,
                                      const DebuggerData& debugger_data) {
  constexpr std::uint8_t kThreadType = 6;  // DISPATCHER_HEADER.Type of a KTHREAD
  if (process.empty() || thread.empty()) {
    return fail("windows: the small (triage) dump has no {}",
                process.empty() ? "process" : "thread");
  }
  if (load<std::uint8_t>(process, 0) == kProcessType &&
      load<std::uint8_t>(thread, 0) == kThreadType) {
    const Known known = known_for(Architecture::x86_64);  // that of all small dumps that are read
    for (const auto& [family, why] : candidates(known.processes, build, &debugger_data)) {
      Structures found;
      set_process(found, *family, &debugger_data);
      const std::uint32_t like = build != 0 ? build : family->build;
      set_others(found, like, &debugger_data, known.is_arm64);
      for (const auto* threads : likely_threads(known.threads, like)) {
        set_thread(found, *threads);
        if (!belong_together(process, thread, found)) continue;
        found.source = fmt::format("table: offsets of build {} ({})", family->build, why);
        return found;
      }
    }
  }
  return fail(
      "windows: under none of the {} known layouts of EPROCESS do the process and the thread of "
      "the "
      "small (triage) dump belong together (build {})",
      kProcesses.size(), build);
}

bool has_type_cookie(std::uint32_t build) {
  return family_of(kHandles, build).has_cookie;
}

Field<std::uint32_t> driver_timestamp_of(std::uint32_t build) {
  return field<std::uint32_t>("KLDR_DATA_TABLE_ENTRY.TimeDateStamp",
                              build < kWindows8 ? 0x80 : 0x9C);
}

bool is_system_first(const paging::AddressSpace& space, VirtAddr head, const Structures& with) {
  const auto first = space.load<std::uint64_t>(head);
  if (!first) return false;
  const VirtAddr process = VirtAddr(*first) - with.process_links;
  const auto type = space.load<std::uint8_t>(process);
  const auto id = space.load<std::uint64_t>(process + *with.process_id.offset);
  const auto name = space.load_text(process + *with.image_name.offset, with.image_name.size);
  return type == kProcessType && id == kSystemId && name == "System";
}

Result<Structures> find_structures(const paging::AddressSpace& space, Diagnostics& diagnostics,
                                   std::uint32_t build, VirtAddr process_head,
                                   const DebuggerData* debugger_data) {
  const auto architecture = space.mode().architecture;
  const Known known = known_for(architecture);
  if (known.processes.empty()) {
    return fail(
        "windows: the layout of EPROCESS and ETHREAD of {} kernels is not known: processes, "
        "threads and what belongs to them are not read",
        to_string(architecture));
  }
  for (const auto& [family, why] : candidates(known.processes, build, debugger_data)) {
    Structures found;
    set_process(found, *family, debugger_data);
    if (!is_system_first(space, process_head, found)) continue;
    // A build that is not known is taken for the one whose processes look the same.
    const std::uint32_t like = build != 0 ? build : family->build;
    set_others(found, like, debugger_data, known.is_arm64);
    choose_thread(space, diagnostics, known.threads, like, process_head, found);
    found.source = fmt::format("table: offsets of build {} ({})", family->build, why);
    diagnostics.add(
        Level::info, "windows",
        fmt::format("structures: {}; System is the EPROCESS at {:#x}", found.source,
                    space.load<std::uint64_t>(process_head).value_or(0) - found.process_links));
    return found;
  }
  return fail(
      "windows: under none of the {} known layouts of EPROCESS on {} does the list of processes at "
      "{:#x} begin with System (build {})",
      known.processes.size(), to_string(architecture), process_head.value, build);
}

}  // namespace engram::kernel::windows
