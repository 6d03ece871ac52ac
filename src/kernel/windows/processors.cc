// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/processors.h"

#include <fmt/core.h>

#include <algorithm>

namespace engram::kernel::windows {
namespace {

constexpr std::uint32_t kMostProcessors = 2048;

/// Contexts that the kernel never filled in are zeros.
template <class Context>
std::optional<Context> read_context(const Reader& reader, VirtAddr at, std::string_view what) {
  const auto context = reader.space().load<Context>(at);
  if (!context) {
    reader.report(what, at, paging::to_string(context.error()));
    return std::nullopt;
  }
  return context->flags == 0 ? std::nullopt : std::optional(*context);
}

void set_context(const Reader& reader, VirtAddr at, std::string_view what, ProcessorState& state) {
  switch (reader.space().mode().architecture) {
    case Architecture::arm64:
      state.arm64 = read_context<image::ContextArm64>(reader, at, what);
      break;
    case Architecture::x86:
      if (const auto narrow = read_context<image::ContextX86>(reader, at, what))
        state.context = widened(*narrow);
      break;
    case Architecture::x86_64:
    case Architecture::unknown:
      state.context = read_context<image::ContextAmd64>(reader, at, what);
      break;
  }
}

void add_processor(const Reader& reader, const Structures& at, std::uint32_t cpu, VirtAddr prcb,
                   std::vector<ProcessorState>& states) {
  const auto thread = reader.follow(prcb, at.current_thread);
  const bool is_64_bit = pointer_size(reader.space().mode()) == sizeof(std::uint64_t);
  if (const auto context = reader.follow(prcb, at.context)) {
    ProcessorState state{cpu, "context", {}, is_64_bit, {}, {}, prcb, thread};
    set_context(reader, *context, "KPRCB.Context", state);
    if (state.has_context()) states.push_back(std::move(state));
  }
  ProcessorState state{cpu, "processor_state", {}, is_64_bit, {}, {}, prcb, thread};
  if (at.processor_context)
    set_context(reader, prcb + *at.processor_context, "KPRCB.ProcessorState", state);
  if (at.special_registers) {
    const auto special = reader.space().load<SpecialRegisters>(prcb + *at.special_registers);
    if (special) state.special = *special;
  }
  if (state.has_context() || state.special) states.push_back(std::move(state));
}

}  // namespace

std::optional<ProcessorState> header_state(const image::Facts& facts) {
  if (!facts.crash) return std::nullopt;
  const Bytes bytes = facts.crash->context;
  ProcessorState state;
  state.source = "header";
  switch (facts.architecture) {
    case Architecture::x86_64:
      state.context = load<image::ContextAmd64>(bytes, 0);
      break;
    case Architecture::x86:
      if (const auto narrow = load<image::ContextX86>(bytes, 0)) state.context = widened(*narrow);
      state.has_r8_to_r15 = false;
      break;
    case Architecture::arm64:
      state.arm64 = load<image::ContextArm64>(bytes, 0);
      break;
    case Architecture::unknown:
      break;
  }
  return state.has_context() ? std::optional(std::move(state)) : std::nullopt;
}

Result<std::vector<ProcessorState>> Processors::states() const {
  std::vector<ProcessorState> states;
  const auto& block = kernel_.debugger_data();
  const auto table = block ? block->pointer(DebuggerData::kKiProcessorBlock) : std::nullopt;
  const auto structures = kernel_.structures();
  const auto& crash = kernel_.image().facts().crash;
  const Reader& reader = kernel_.reader();
  if (const auto& small = kernel_.small_dump(); small && small->processor && structures) {
    const auto number = reader.get(*small->processor, (*structures)->processor_number);
    add_processor(reader, **structures, number.value_or(0), *small->processor, states);
  }
  const std::uint32_t declared =
      crash ? crash->processors.value_or(kMostProcessors) : kMostProcessors;
  const bool has_all = table && structures && !kernel_.small_dump();
  for (std::uint32_t cpu = 0; has_all && cpu < std::min(declared, kMostProcessors); ++cpu) {
    const auto prcb =
        reader.pointer_at(*table + cpu * pointer_size(kernel_.space().mode()), "KiProcessorBlock");
    if (!prcb || !*prcb) break;
    add_processor(reader, **structures, cpu, *prcb, states);
  }
  if (auto state = header_state(kernel_.image().facts())) {
    // The dump does not say whose it is: that of the processor whose stack is the same.
    const auto same = std::find_if(states.begin(), states.end(), [&](const ProcessorState& other) {
      return other.has_context() && other.stack_pointer() == state->stack_pointer();
    });
    if (same != states.end()) {
      state->cpu = same->cpu;
      state->prcb = same->prcb;
      state->thread = same->thread;
    }
    states.push_back(std::move(*state));
  }
  if (states.empty()) return fail("registers: neither KDBG nor a crash header leads to any");
  return states;
}

}  // namespace engram::kernel::windows
