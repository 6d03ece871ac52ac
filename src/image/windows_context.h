// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// CONTEXT, Windows' record of a processor's registers: in the header of crash dumps and in kernel
// memory. What it is depends on the machine. Source: winnt.h of the Windows SDK.

#include <array>
#include <cstddef>
#include <cstdint>

namespace engram::image {

struct [[gnu::packed]] ContextAmd64 {
  std::array<std::byte, 0x30> homes;
  std::uint32_t flags;
  std::uint32_t mxcsr;
  std::uint16_t cs, ds, es, fs, gs, ss;
  std::uint32_t eflags;
  std::uint64_t dr0, dr1, dr2, dr3, dr6, dr7;
  std::uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
  std::uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
  std::uint64_t rip;
};
static_assert(sizeof(ContextAmd64) == 0x100);
static_assert(offsetof(ContextAmd64, dr0) == 0x48 && offsetof(ContextAmd64, rip) == 0xF8);

// Of ContextAmd64's flags: which registers it has.
inline constexpr std::uint32_t kContextControl = 0x100001;   ///< RIP, RSP, EFLAGS, CS, SS
inline constexpr std::uint32_t kContextInteger = 0x100002;   ///< the other general registers
inline constexpr std::uint32_t kContextSegments = 0x100004;  ///< DS, ES, FS, GS
inline constexpr std::uint32_t kContextDebug = 0x100010;     ///< DR0 to DR7

/// Of 32-bit machines.
struct [[gnu::packed]] ContextX86 {
  std::uint32_t flags;
  std::uint32_t dr0, dr1, dr2, dr3, dr6, dr7;
  std::array<std::byte, 112> float_save;
  std::uint32_t gs, fs, es, ds;
  std::uint32_t edi, esi, ebx, edx, ecx, eax;
  std::uint32_t ebp, eip, cs, eflags, esp, ss;
};
static_assert(offsetof(ContextX86, gs) == 0x8C && offsetof(ContextX86, eip) == 0xB8);
inline constexpr std::uint32_t kContextX86 = 0x10000;  ///< in its flags; groups are those of AMD64

struct [[gnu::packed]] ContextArm64 {
  std::uint32_t flags;
  std::uint32_t cpsr;
  std::array<std::uint64_t, 29> x;
  std::uint64_t fp, lr, sp, pc;
};
static_assert(offsetof(ContextArm64, fp) == 0xF0 && offsetof(ContextArm64, pc) == 0x108);
inline constexpr std::uint32_t kContextArm64Control = 0x400001;  ///< FP, LR, SP, PC, CPSR
inline constexpr std::uint32_t kContextArm64Integer = 0x400002;  ///< X0 to X28

/// The registers of a 32-bit machine under the names that they have on x86-64.
[[nodiscard]] constexpr ContextAmd64 widened(const ContextX86& context) {
  ContextAmd64 wide{};
  if ((context.flags & kContextX86) != 0) {
    wide.flags = (context.flags & ~kContextX86) | (kContextControl & kContextInteger);
  }
  const auto segment = [](std::uint32_t value) { return static_cast<std::uint16_t>(value); };
  wide.cs = segment(context.cs);
  wide.ds = segment(context.ds);
  wide.es = segment(context.es);
  wide.fs = segment(context.fs);
  wide.gs = segment(context.gs);
  wide.ss = segment(context.ss);
  wide.eflags = context.eflags;
  wide.dr0 = context.dr0;
  wide.dr1 = context.dr1;
  wide.dr2 = context.dr2;
  wide.dr3 = context.dr3;
  wide.dr6 = context.dr6;
  wide.dr7 = context.dr7;
  wide.rax = context.eax;
  wide.rcx = context.ecx;
  wide.rdx = context.edx;
  wide.rbx = context.ebx;
  wide.rsp = context.esp;
  wide.rbp = context.ebp;
  wide.rsi = context.esi;
  wide.rdi = context.edi;
  wide.rip = context.eip;
  return wide;
}

}  // namespace engram::image
