// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/structures.h"

#include <fmt/core.h>

#include <algorithm>
#include <span>
#include <vector>

#include "kernel/windows/kernel_values.h"
#include "kernel/windows/structures_known.h"
#include "kernel/windows/windows_map.h"

namespace engram::kernel::windows {
namespace {

/// Whether a thread may begin there: DISPATCHER_HEADER has its type, and at 8, on machines of both
/// widths, a list of waiters that leads into the kernel's memory. Next to the beginning of a thread
/// no place is like that, so lines that differ by a few bytes are told apart.
bool is_thread(const paging::AddressSpace& space, VirtAddr at) {
  constexpr std::uint64_t kWaitList = 8;
  const auto waiters = space.load_pointer(at + kWaitList);
  return space.load<std::uint8_t>(at) == kThreadType && waiters &&
         is_kernel_address(waiters->value, pointer_size(space.mode()));
}

/// Whether the first thread of the first process is one, and says that it is one of System's.
bool is_thread_of_system(const paging::AddressSpace& space, VirtAddr head, const Structures& with,
                         const ThreadFamily& family) {
  const auto first = space.load_pointer(head);
  if (!first) return false;
  const VirtAddr list = *first - with.process_links + with.thread_list;
  const auto links = space.load_pointer(list);
  if (!links || *links == list) return false;
  const VirtAddr thread = *links - family.links;
  const auto id = space.load_pointer(thread + family.id);
  return id && id->value == kSystemId && is_thread(space, thread);
}

struct Candidate {
  const ProcessFamily* family = nullptr;
  const char* why = "";
};

/// What the debugger's block names comes first, then the build, then whatever there is. Of lines
/// that agree with the block alike the build's own is the first.
std::vector<Candidate> candidates(std::span<const ProcessFamily> known, std::uint32_t build,
                                  const DebuggerData* block) {
  std::vector<Candidate> all;
  const auto add = [&](const ProcessFamily& family, const char* why) {
    const auto is_same = [&](const Candidate& other) { return other.family == &family; };
    if (std::none_of(all.begin(), all.end(), is_same)) all.push_back({&family, why});
  };
  const auto& own = family_of(known, build);
  if (block != nullptr) {
    const auto size = block->get<Offset>(DebuggerData::kSizeEProcess).value_or(0);
    const auto peb = block->get<Offset>(DebuggerData::kOffsetEprocessPeb);
    const auto parent = block->get<Offset>(DebuggerData::kOffsetEprocessParentCid);
    const auto add_fitting = [&](const ProcessFamily& family, bool exact) {
      const bool has_size =
          size != 0 && std::count(family.sizes.begin(), family.sizes.end(), size) != 0;
      if (peb == family.peb && parent == family.parent && (has_size || !exact)) {
        add(family, exact ? "the debugger's block: size and members of EPROCESS"
                          : "the debugger's block: members of EPROCESS");
      }
    };
    for (const bool exact : {true, false}) {
      add_fitting(own, exact);
      for (const auto& family : known) add_fitting(family, exact);
    }
  }
  add(own, "the build");
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
void choose_thread(const paging::AddressSpace& space, Diagnostics& diagnostics, const Known& known,
                   std::uint32_t build, VirtAddr head, Structures& to) {
  const auto& likely = family_of(known.threads, build);
  for (const auto* family : likely_threads(known.threads, build)) {
    if (!is_thread_of_system(space, head, to, *family)) continue;
    set_thread(to, known, *family);
    if (family != &likely) {
      diagnostics.add(
          Level::info, "windows",
          fmt::format("ETHREAD: as in build {}: right for System's first thread", family->build));
    }
    return;
  }
  set_thread(to, known, likely);
  diagnostics.add(Level::warning, "windows",
                  fmt::format("ETHREAD: as in build {}, which System's first thread does not prove",
                              likely.build));
}

}  // namespace

bool belong_together(Bytes process, Bytes thread, const Structures& with) {
  constexpr std::uint64_t kMostIds = std::uint64_t{1} << 32;
  if (!with.process_id || !with.thread_process_id || !with.thread_id) return false;
  const auto id = load<std::uint64_t>(process, *with.process_id.offset);
  const auto owner = load<std::uint64_t>(thread, *with.thread_process_id.offset);
  const auto number = load<std::uint64_t>(thread, *with.thread_id.offset);
  return id && owner && number && *id == *owner && *id % 4 == 0 && *number % 4 == 0 &&
         *id < kMostIds && *number < kMostIds && *id != 0 && *number != 0;
}

bool are_idle(Bytes process, Bytes thread, const Structures& with) {
  if (!with.process_id || !with.thread_process_id || !with.thread_id || !with.image_name)
    return false;
  const auto is_zero = [](std::optional<std::uint64_t> value) { return value == 0U; };
  const auto name = slice(process, *with.image_name.offset, with.image_name.size);
  return name && text_until_nul(*name) == "Idle" &&
         is_zero(load<std::uint64_t>(process, *with.process_id.offset)) &&
         is_zero(load<std::uint64_t>(thread, *with.thread_process_id.offset)) &&
         is_zero(load<std::uint64_t>(thread, *with.thread_id.offset));
}

Result<Structures> find_structures_of(Bytes process, Bytes thread, std::uint32_t build,
                                      const DebuggerData& debugger_data) {
  if (process.empty() || thread.empty()) {
    return fail("windows: the small (triage) dump has no {}",
                process.empty() ? "process" : "thread");
  }
  const Known known = known_for(Architecture::x86_64);  // that of all small dumps that are read
  const auto lines = candidates(known.processes, build, &debugger_data);
  const auto find = [&](const Candidate& line, bool is_idle) -> std::optional<Structures> {
    Structures found;
    set_process(found, known, *line.family, &debugger_data);
    const std::uint32_t like = build != 0 ? build : line.family->build;
    set_others(found, known, like, &debugger_data);
    found.source = fmt::format("table: offsets of build {} ({})", line.family->build, line.why);
    for (const auto* threads : likely_threads(known.threads, like)) {
      set_thread(found, known, *threads);
      if (is_idle) return are_idle(process, thread, found) ? std::optional(found) : std::nullopt;
      if (belong_together(process, thread, found)) return found;
    }
    return std::nullopt;
  };
  if (load<std::uint8_t>(process, 0) == kProcessType &&
      load<std::uint8_t>(thread, 0) == kThreadType) {
    for (const auto& line : lines) {
      if (auto found = find(line, false)) return std::move(*found);
    }
    // The numbers of Idle are 0, as is much else: only the likeliest lines can say that it is.
    if (auto found = find(lines.front(), true)) return std::move(*found);
  }
  return fail(
      "windows: under none of the {} known layouts of EPROCESS do the process and the thread of "
      "the small (triage) dump belong together (build {})",
      known.processes.size(), build);
}

bool is_system_first(const paging::AddressSpace& space, VirtAddr head, const Structures& with) {
  const auto first = space.load_pointer(head);
  if (!first) return false;
  const VirtAddr process = *first - with.process_links;
  const auto type = space.load<std::uint8_t>(process);
  const auto id = space.load_pointer(process + *with.process_id.offset);
  const auto name = space.load_text(process + *with.image_name.offset, with.image_name.size);
  return type == kProcessType && id && id->value == kSystemId && name == "System";
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
    set_process(found, known, *family, debugger_data);
    if (!is_system_first(space, process_head, found)) continue;
    // A build that is not known is taken for the one whose processes look the same.
    const std::uint32_t like = build != 0 ? build : family->build;
    set_others(found, known, like, debugger_data);
    choose_thread(space, diagnostics, known, like, process_head, found);
    found.source = fmt::format("table: offsets of build {} ({})", family->build, why);
    diagnostics.add(Level::info, "windows",
                    fmt::format("structures: {}; System is the EPROCESS at {:#x}", found.source,
                                space.load_pointer(process_head).value_or(VirtAddr(0)).value -
                                    found.process_links));
    return found;
  }
  return fail(
      "windows: under none of the {} known layouts of EPROCESS on {} does the list of processes at "
      "{:#x} begin with System (build {})",
      known.processes.size(), to_string(architecture), process_head.value, build);
}

}  // namespace engram::kernel::windows
