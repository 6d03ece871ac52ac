// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an ELF core of a machine has on disk beyond <elf.h>: its byte order, and the notes with the
// CPUs' registers.

#include <elf.h>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace engram::image::elf {

/// The two sizes of an ELF file.
struct Class32 {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  using Section = Elf32_Shdr;
};
struct Class64 {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  using Section = Elf64_Shdr;
};
static_assert(sizeof(Elf64_Ehdr) == 64 && sizeof(Elf64_Phdr) == 56 && sizeof(Elf64_Nhdr) == 12);
static_assert(sizeof(Elf32_Ehdr) == 52 && sizeof(Elf32_Phdr) == 32 && sizeof(Elf32_Nhdr) == 12);

/// Turns the numbers of a file into this host's.
class ByteOrder {
 public:
  constexpr explicit ByteOrder(bool big) : big_(big) {}

  [[nodiscard]] constexpr bool is_big() const { return big_; }
  template <std::unsigned_integral T>
  [[nodiscard]] constexpr T operator()(T value) const {
    if (sizeof(T) == 1 || big_ == (std::endian::native == std::endian::big)) return value;
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
    return value;
  }

 private:
  bool big_;
};

// The note "QEMU", type 0, one a CPU; 32-bit guests have the same one.
// Source: QEMU, target/i386/arch_dump.c, QEMUCPUState (version 1; kernel_gs_base since 2.12).
struct [[gnu::packed]] QemuSegment {
  std::uint32_t selector;
  std::uint32_t limit;
  std::uint32_t flags;
  std::uint32_t padding;
  std::uint64_t base;
};
struct [[gnu::packed]] QemuCpu {
  std::uint32_t version;
  std::uint32_t size;  // of this structure
  std::uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
  std::array<std::uint64_t, 8> r8_to_r15;
  std::uint64_t rip, rflags;
  QemuSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
  std::array<std::uint64_t, 5> cr;  // CR0 to CR4; CR1 does not exist
};
static_assert(sizeof(QemuSegment) == 24);
static_assert(sizeof(QemuCpu) == 432);

inline constexpr std::uint32_t kQemuCpuVersion = 1;

/// After QemuCpu, if `size` says that it is there.
inline constexpr std::size_t kQemuKernelGsBase = 432;

// The notes of VirtualBox: "VBCORE" of the machine, "VBCPU" one a CPU. Those of format 0x10000 have
// the hypervisor's own structure of a CPU, which is another one in each release; later ones all
// begin like this. Source: VirtualBox, include/VBox/vmm/dbgfcorefmt.h (0x10005).
inline constexpr std::uint32_t kVirtualBoxMachineNote = 0xb00;
inline constexpr std::uint32_t kVirtualBoxCpuNote = 0xb01;
inline constexpr std::uint32_t kVirtualBoxMagic = 0xc01ac0de;
inline constexpr std::uint32_t kVirtualBoxOldFormat = 0x10000;

struct [[gnu::packed]] VirtualBoxMachine {
  std::uint32_t magic;
  std::uint32_t format;
  std::uint32_t size;     // of this structure
  std::uint32_t version;  // major, minor, build: 8, 8 and 16 bits
  std::uint32_t revision;
  std::uint32_t cpus;
};
static_assert(sizeof(VirtualBoxMachine) == 24);

struct [[gnu::packed]] VirtualBoxSegment {
  std::uint64_t base;
  std::uint32_t limit;
  std::uint32_t attributes;
  std::uint16_t selector;
  std::array<std::byte, 6> reserved;
};
struct [[gnu::packed]] VirtualBoxTable {
  std::uint64_t base;
  std::uint32_t size;
  std::uint32_t reserved;
};
struct [[gnu::packed]] VirtualBoxCpu {
  std::uint64_t rax, rbx, rcx, rdx, rsi, rdi;
  std::array<std::uint64_t, 8> r8_to_r15;
  std::uint64_t rip, rsp, rbp, rflags;
  VirtualBoxSegment cs, ds, es, fs, gs, ss;
  std::uint64_t cr0, cr2, cr3, cr4;
  std::array<std::uint64_t, 8> dr;
  VirtualBoxTable gdt, idt;
  VirtualBoxSegment ldt, tr;
  std::array<std::uint64_t, 3> sysenter;
  std::uint64_t efer, star, pat, lstar, cstar, sfmask, kernel_gs_base, apic_base;
};
static_assert(sizeof(VirtualBoxSegment) == 24 && sizeof(VirtualBoxTable) == 16);
static_assert(sizeof(VirtualBoxCpu) == 552);

/// Where the note "CORE", type NT_PRSTATUS, has the registers: byte offsets in its data.
/// Source: Linux, include/linux/elfcore.h (elf_prstatus) and the user_regs_struct of each
/// architecture.
struct StatusLayout {
  std::uint16_t machine;  // e_machine
  std::size_t note_size;  // of the data
  std::size_t word;       // bytes in a register
  std::size_t rip, rsp, rflags;
  std::size_t gs_base;  // 0: there is none
};
inline constexpr std::array<StatusLayout, 3> kStatusLayouts = {{
    {EM_X86_64, 336, 8, 112 + 16 * 8, 112 + 19 * 8, 112 + 18 * 8, 112 + 22 * 8},
    {EM_386, 144, 4, 72 + 12 * 4, 72 + 15 * 4, 72 + 14 * 4, 0},
    {EM_AARCH64, 392, 8, 112 + 32 * 8, 112 + 31 * 8, 112 + 33 * 8, 0},
}};

}  // namespace engram::image::elf
