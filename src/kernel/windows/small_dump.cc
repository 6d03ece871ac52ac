// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/small_dump.h"

#include <fmt/core.h>

#include <algorithm>

#include "image/overlap.h"
#include "kernel/windows/kernel_values.h"
#include "kernel/windows/processors.h"

namespace engram::kernel::windows {
namespace {

constexpr std::uint64_t kProcessorInRegion = 0x180;  // KPCR.Prcb, the same since Windows Vista

/// A member that leads to kernel memory.
std::optional<VirtAddr> pointer_in(Bytes bytes, std::optional<std::uint64_t> offset) {
  const auto value = offset ? load<std::uint64_t>(bytes, *offset) : std::nullopt;
  return value && is_kernel_address(*value, sizeof *value) ? std::optional(VirtAddr(*value))
                                                           : std::nullopt;
}

/// GS of a processor that is in the kernel leads to its KPCR, which has the KPRCB in it.
std::optional<VirtAddr> address_of_processor(Bytes processor, const Structures& at) {
  if (!at.special_registers) return std::nullopt;
  const auto region =
      pointer_in(processor, *at.special_registers + offsetof(SpecialRegisters, gs_base));
  if (!region || region->mask(kPageMask) != 0) return std::nullopt;
  return *region + kProcessorInRegion;
}

class Builder {
 public:
  Builder(const image::TriageDump& dump, const DebuggerData& block) : block_(block) {
    regions_.assign(dump.memory.regions().begin(), dump.memory.regions().end());
  }

  /// As much of the structure as the debugger's block says that it has. What the dump has of these
  /// addresses anyway counts.
  void add(std::optional<VirtAddr> address, Bytes bytes, DebuggerData::Member size) {
    const auto said = block_.get<std::uint16_t>(size);
    if (!address || !said || bytes.empty()) return;
    const auto count = std::min<std::uint64_t>(bytes.size(), *said);
    if (~address->value < count) return;  // it would not end before 2^64
    regions_.push_back({PhysAddr(address->value), count, guest::Backing::host, bytes.data()});
  }

  Result<guest::Memory> memory() {
    return guest::Memory::create(image::without_overlap(regions_), nullptr);
  }

 private:
  const DebuggerData& block_;
  guest::Regions regions_;
};

/// The dump does not have the page in which the kernel names its file: that the process and the
/// thread agree under the file is all that is known of it.
Result<Structures> structures_from(const types::SymbolFile& symbols, const image::TriageDump& dump,
                                   const DebuggerData& block, Diagnostics& diagnostics,
                                   std::uint32_t build) {
  if (!symbols.pdb) return fail("{}: it is not of Windows (it names no GUID)", symbols.path);
  diagnostics.add(Level::warning, "symbols",
                  fmt::format("{}: not compared with the kernel, whose GUID is not in the image",
                              symbols.path));
  auto found = read_structures(symbols, diagnostics, Architecture::x86_64, build);
  if (found && !belong_together(dump.process, dump.thread, *found) &&
      !are_idle(dump.process, dump.thread, *found)) {
    return fail(
        "windows: by {}, the process and the thread of the small (triage) dump do not belong "
        "together",
        symbols.path);
  }
  if (found && !found->thread_process) {
    const auto said = block.get<std::uint16_t>(DebuggerData::kOffsetKThreadApcProcess);
    if (said) found->thread_process.offset = *said;
  }
  return found;
}

void place_structures(const image::TriageDump& dump, SmallDump& found) {
  const Structures& at = *found.structures;
  found.thread = pointer_in(dump.processor, at.current_thread.offset);
  found.process = pointer_in(dump.thread, at.thread_process.offset);
  found.processor = address_of_processor(dump.processor, at);
  Builder builder(dump, *found.debugger_data);
  builder.add(found.processor, dump.processor, DebuggerData::kSizePrcb);
  builder.add(found.thread, dump.thread, DebuggerData::kSizeEThread);
  builder.add(found.process, dump.process, DebuggerData::kSizeEProcess);
  if (auto memory = builder.memory()) found.memory = std::move(*memory);
}

}  // namespace

SmallDump read_small_dump(const image::Image& image, Diagnostics& diagnostics, std::uint32_t build,
                          const types::SymbolFile* symbols) {
  const image::TriageDump& dump = *image.facts().triage;
  SmallDump found{dump.memory,
                  std::nullopt,
                  fail("a small (triage) dump without the debugger's block (KDBG): its process and "
                       "its thread cannot be read"),
                  std::nullopt,
                  std::nullopt,
                  std::nullopt};
  const auto& named = image.facts().crash->debugger_data;
  if (!named) return found;
  const auto space = paging::AddressSpace::of_pieces(dump.memory, Architecture::x86_64);
  auto block = DebuggerData::read(space, *named, std::nullopt);
  if (!block) {
    diagnostics.add(Level::warning, "windows", block.error().text, named->value);
    return found;
  }
  found.debugger_data = std::move(*block);
  found.structures =
      symbols != nullptr
          ? structures_from(*symbols, dump, *found.debugger_data, diagnostics, build)
          : find_structures_of(dump.process, dump.thread, build, *found.debugger_data);
  if (!found.structures) return found;
  place_structures(dump, found);
  return found;
}

}  // namespace engram::kernel::windows
