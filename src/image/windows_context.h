// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// CONTEXT, Windows' record of a processor's registers on x86-64: in the header of crash dumps and
// in kernel memory. Source: winnt.h of the Windows SDK.

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

}  // namespace engram::image
