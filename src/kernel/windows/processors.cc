// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/processors.h"

#include <fmt/core.h>

#include <algorithm>

namespace engram::kernel::windows {
namespace {

constexpr std::uint32_t kMostProcessors = 2048;

/// Contexts that the kernel never filled in are zeros.
std::optional<image::ContextAmd64> read_context(const Reader& reader, VirtAddr at,
                                                std::string_view what) {
  const auto context = reader.space().load<image::ContextAmd64>(at);
  if (!context) {
    reader.report(what, at, paging::to_string(context.error()));
    return std::nullopt;
  }
  return context->flags == 0 ? std::nullopt : std::optional(*context);
}

void add_processor(const Reader& reader, const Structures& at, std::uint32_t cpu, VirtAddr prcb,
                   std::vector<ProcessorState>& states) {
  const auto thread = reader.follow(prcb, at.current_thread);
  if (const auto context = reader.follow(prcb, at.context)) {
    if (auto read = read_context(reader, *context, "KPRCB.Context"))
      states.push_back({cpu, "context", read, std::nullopt, prcb, thread});
  }
  ProcessorState state{cpu, "processor_state", std::nullopt, std::nullopt, prcb, thread};
  if (at.processor_context)
    state.context = read_context(reader, prcb + *at.processor_context, "KPRCB.ProcessorState");
  if (at.special_registers) {
    const auto special = reader.space().load<SpecialRegisters>(prcb + *at.special_registers);
    if (special) state.special = *special;
  }
  if (state.context || state.special) states.push_back(std::move(state));
}

}  // namespace

std::optional<ProcessorState> header_state(const image::Facts& facts) {
  if (!facts.crash || facts.architecture != Architecture::x86_64) return std::nullopt;
  const auto context = load<image::ContextAmd64>(facts.crash->context, 0);
  if (!context) return std::nullopt;
  return ProcessorState{std::nullopt, "header", context, std::nullopt, std::nullopt, std::nullopt};
}

Result<std::vector<ProcessorState>> Processors::states() const {
  std::vector<ProcessorState> states;
  const auto& block = kernel_.debugger_data();
  const auto table = block ? block->pointer(DebuggerData::kKiProcessorBlock) : std::nullopt;
  const auto structures = kernel_.structures();
  const auto& crash = kernel_.image().facts().crash;
  const Reader& reader = kernel_.reader();
  const std::uint32_t declared =
      crash ? crash->processors.value_or(kMostProcessors) : kMostProcessors;
  for (std::uint32_t cpu = 0; table && structures && cpu < std::min(declared, kMostProcessors);
       ++cpu) {
    const auto prcb = reader.pointer_at(*table + cpu * sizeof(std::uint64_t), "KiProcessorBlock");
    if (!prcb || !*prcb) break;
    add_processor(reader, **structures, cpu, *prcb, states);
  }
  if (auto state = header_state(kernel_.image().facts())) {
    // The dump does not say whose it is: that of the processor whose stack is the same.
    const std::uint64_t rsp = state->context->rsp;
    const auto same = std::find_if(states.begin(), states.end(), [&](const ProcessorState& other) {
      return other.context && other.context->rsp == rsp;
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
