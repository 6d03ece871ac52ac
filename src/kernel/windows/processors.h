// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Registers of each processor of a Windows machine, as the kernel saved them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/windows_context.h"
#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

/// The beginning of KSPECIAL_REGISTERS.
struct SpecialRegisters {
  std::uint64_t cr0, cr2, cr3, cr4;
  std::array<std::uint64_t, 6> debug;
  std::array<std::uint16_t, 3> gdt_padding;
  std::uint16_t gdt_limit;
  std::uint64_t gdt_base;
  std::array<std::uint16_t, 3> idt_padding;
  std::uint16_t idt_limit;
  std::uint64_t idt_base;
  std::array<std::byte, 0x30> tr_to_last_branches;
  std::uint64_t cr8, gs_base, kernel_gs_base;
};
static_assert(sizeof(SpecialRegisters) == 0xB8);

struct ProcessorState {
  std::optional<std::uint32_t> cpu;  ///< nothing for a context that is no processor's
  /// "header": of the dump; "context": KPRCB.Context; "processor_state": KPRCB.ProcessorState.
  std::string source;
  std::optional<image::ContextAmd64> context;  ///< of a 32-bit machine, too
  bool has_r8_to_r15 = true;                   ///< which that lacks
  std::optional<image::ContextArm64> arm64;
  std::optional<SpecialRegisters> special;
  std::optional<VirtAddr> prcb;    ///< KPRCB
  std::optional<VirtAddr> thread;  ///< KTHREAD that ran

  [[nodiscard]] bool has_context() const { return context || arm64; }
  /// 0 without a context.
  [[nodiscard]] std::uint64_t stack_pointer() const {
    if (arm64) return arm64->sp;
    return context ? context->rsp : 0;
  }
};

/// The context in the header of a crash dump; nothing if there is none.
[[nodiscard]] std::optional<ProcessorState> header_state(const image::Facts& facts);

class Processors {
 public:
  explicit Processors(WindowsKernel& kernel) : kernel_(kernel) {}

  /// Nothing is left out but what cannot be read (one diagnostics row). Errors: nothing says where
  /// the processors are, and the dump has no context itself.
  [[nodiscard]] Result<std::vector<ProcessorState>> states() const;

 private:
  WindowsKernel& kernel_;
};

}  // namespace engram::kernel::windows
