// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/crash_facts.h"

#include <algorithm>
#include <memory>
#include <set>

#include "image/overlap.h"
#include "kernel/windows/processors.h"
#include "kernel/windows/windows_map.h"

namespace engram::kernel::windows {
namespace {

using image::ContextAmd64;
using image::CrashHeader;

/// A CONTEXT of which only the registers are known. Readers expect MXCSR twice, at 0x34 and among
/// the registers of the FPU.
std::vector<std::byte> to_bytes(ContextAmd64 context) {
  constexpr std::size_t kSize = 0x4D0, kSecondMxcsr = 0x118;
  constexpr std::uint32_t kKnown = image::kContextControl | image::kContextInteger |
                                   image::kContextSegments | image::kContextDebug;
  context.flags &= kKnown;
  std::vector<std::byte> bytes(kSize);
  std::memcpy(bytes.data(), &context, sizeof context);
  std::memcpy(bytes.data() + kSecondMxcsr, bytes.data() + offsetof(ContextAmd64, mxcsr),
              sizeof context.mxcsr);
  return bytes;
}

/// Notes say what was when the image was made; KPRCB what was when Windows last saved it.
std::optional<ContextAmd64> context_of_first_cpu(const image::Facts& facts,
                                                 const std::vector<ProcessorState>& states) {
  if (!facts.cpus.empty() && facts.cpus[0].context) return facts.cpus[0].context;
  for (const auto& state : states) {
    if (state.cpu == 0U && state.context) return state.context;
  }
  return std::nullopt;
}

std::vector<std::byte> arm64_context_of_first_cpu(const std::vector<ProcessorState>& states) {
  for (const auto& state : states) {
    if (state.cpu != 0U || !state.arm64) continue;
    constexpr std::size_t kSize = 0x390;
    std::vector<std::byte> bytes(kSize);  // the registers of the FPU are not known
    std::memcpy(bytes.data(), &*state.arm64, sizeof *state.arm64);
    return bytes;
  }
  return {};
}

void add_processors(WindowsKernel& kernel, CrashHeader& crash) {
  const auto states = kernel.processors().states();
  if (!states) return;
  if (!crash.processors) {
    std::set<std::uint32_t> numbers;
    for (const auto& state : *states) {
      if (state.cpu) numbers.insert(*state.cpu);
    }
    if (!numbers.empty()) crash.processors = static_cast<std::uint32_t>(numbers.size());
  }
  if (!crash.context.empty()) return;
  if (const auto context = context_of_first_cpu(kernel.image().facts(), *states)) {
    crash.context = to_bytes(*context);
  } else {
    crash.context = arm64_context_of_first_cpu(*states);
  }
}

template <class T>
void complete(std::optional<T>& value, const std::optional<T>& found) {
  if (!value) value = found;
}

std::optional<VirtAddr> optional(const Result<VirtAddr>& found) {
  return found ? std::optional(*found) : std::nullopt;
}

}  // namespace

CrashHeader complete_crash_header(WindowsKernel& kernel) {
  CrashHeader crash = kernel.image().facts().crash.value_or(CrashHeader());
  if (crash.machine == 0) {
    crash.machine = machine_of(kernel.space().mode().architecture);
    crash.is_64_bit = kernel.is_64_bit();
  }
  if (kernel.build() != 0) complete(crash.build, std::optional(kernel.build()));
  complete(crash.directory_table_base, std::optional(kernel.map().root.value));
  complete(crash.loaded_modules, optional(kernel.module_head()));
  complete(crash.processes, optional(kernel.process_head()));
  if (const auto& block = kernel.debugger_data()) {
    complete(crash.debugger_data, std::optional(block->address()));
    complete(crash.pfn_database, block->pointer(DebuggerData::kMmPfnDatabase));
  }
  if (const auto& shared = kernel.map().shared) {
    complete(crash.product_type, std::optional(shared->product_type));
    complete(crash.suite_mask, std::optional(shared->suite_mask));
    complete(crash.system_time, std::optional(shared->system_time));
    complete(crash.up_time, std::optional(shared->interrupt_time));
  }
  add_processors(kernel, crash);
  return crash;
}

Result<guest::Memory> with_decoded_debugger_data(const WindowsKernel& kernel) {
  const auto& block = kernel.debugger_data();
  if (!block) return fail("windows: the debugger's block (KDBG) was not found: it is not decoded");
  const guest::Memory& memory = kernel.image().memory();
  if (!block->was_encoded()) return memory;
  struct Owner {
    guest::Memory memory;
    std::vector<std::vector<std::byte>> pages;
  };
  const auto owner = std::make_shared<Owner>();
  owner->memory = memory;
  guest::Regions regions;
  Bytes rest = block->bytes();
  VirtAddr at = block->address();
  while (!rest.empty()) {
    const auto physical = kernel.space().translate(at);
    if (!physical) return fail("KDBG: {}", paging::to_string(physical.error()));
    const PhysAddr page(align_down(physical->physical.value, kPageSize));
    const std::uint64_t offset = physical->physical - page;
    auto& bytes = owner->pages.emplace_back(kPageSize);
    if (!memory.read(page, bytes).complete()) {
      return fail("KDBG at {:#x}: physical page {:#x} is not all in the image", at.value,
                  page.value);
    }
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), kPageSize - offset));
    std::copy_n(rest.begin(), count, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    regions.push_back({page, kPageSize, guest::Backing::host, bytes.data()});
    rest = rest.subspan(count);
    at = at + count;
  }
  regions.insert(regions.end(), memory.regions().begin(), memory.regions().end());
  return guest::Memory::create(image::without_overlap(regions), owner);
}

}  // namespace engram::kernel::windows
