// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/elf_notes.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "image/elf_layout.h"
#include "image/x86_state.h"

namespace engram::image::elf {
namespace {

constexpr std::size_t kMostCpus = 8192;  // Linux: the largest NR_CPUS of x86 and arm64
constexpr std::uint64_t kLongestVmcoreinfo = 1 * kMiB;  // Linux writes 4 KiB, and at most 64 KiB

// Names and data are padded to four bytes, in 64-bit files, too (that is what Linux and QEMU
// write).
constexpr std::uint64_t kNoteAlignment = 4;

/// A register of a PRSTATUS note.
std::uint64_t word(Bytes data, std::size_t offset, std::size_t size) {
  if (size == 4) return load<std::uint32_t>(data, offset).value_or(0);
  return load<std::uint64_t>(data, offset).value_or(0);
}

/// What of CONTEXT the note has: not the debug registers, nor those of the FPU.
ContextAmd64 context_of(const QemuCpu& cpu) {
  ContextAmd64 context = {};
  context.flags = kContextControl | kContextInteger | kContextSegments;
  const auto selector = [](const QemuSegment& segment) {
    return static_cast<std::uint16_t>(segment.selector);
  };
  context.cs = selector(cpu.cs);
  context.ds = selector(cpu.ds);
  context.es = selector(cpu.es);
  context.fs = selector(cpu.fs);
  context.gs = selector(cpu.gs);
  context.ss = selector(cpu.ss);
  context.eflags = static_cast<std::uint32_t>(cpu.rflags);
  context.rax = cpu.rax;
  context.rcx = cpu.rcx;
  context.rdx = cpu.rdx;
  context.rbx = cpu.rbx;
  context.rsp = cpu.rsp;
  context.rbp = cpu.rbp;
  context.rsi = cpu.rsi;
  context.rdi = cpu.rdi;
  context.r8 = cpu.r8_to_r15[0];
  context.r9 = cpu.r8_to_r15[1];
  context.r10 = cpu.r8_to_r15[2];
  context.r11 = cpu.r8_to_r15[3];
  context.r12 = cpu.r8_to_r15[4];
  context.r13 = cpu.r8_to_r15[5];
  context.r14 = cpu.r8_to_r15[6];
  context.r15 = cpu.r8_to_r15[7];
  context.rip = cpu.rip;
  return context;
}

}  // namespace

bool NoteReader::add(Bytes notes) {
  std::uint64_t at = 0;
  while (at < notes.size()) {
    const auto header = load<Elf64_Nhdr>(notes, at);  // the same in both classes
    if (!header) return false;
    const std::uint64_t name_size = order_(header->n_namesz);
    const std::uint64_t data_size = order_(header->n_descsz);
    const std::uint64_t name_at = at + sizeof *header;
    // No overflow: the lengths have 32 bits, the offset is that of a byte in memory.
    const std::uint64_t data_at = name_at + align_up(name_size, kNoteAlignment);
    const auto name = slice(notes, name_at, name_size);
    const auto data = slice(notes, data_at, data_size);
    if (!name || !data) return false;
    add_note(text_until_nul(*name), order_(header->n_type), *data);
    const std::uint64_t end = data_at + align_up(data_size, kNoteAlignment);
    keep(notes, at, end);
    at = end;
  }
  return true;
}

void NoteReader::keep(Bytes notes, std::uint64_t at, std::uint64_t end) {
  const auto there = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(end, notes.size()));
  notes_.insert(notes_.end(), notes.begin() + static_cast<std::ptrdiff_t>(at),
                notes.begin() + there);
  notes_.resize(static_cast<std::size_t>(align_up(notes_.size(), kNoteAlignment)));
}

void NoteReader::add_note(std::string_view name, std::uint32_t type, Bytes data) {
  if (name == "QEMU" && type == 0) {
    if (!order_.is_big()) add_qemu_cpu(data);
  } else if (name == "VBCORE" && type == kVirtualBoxMachineNote) {
    if (!order_.is_big()) add_virtualbox_machine(data);
  } else if (name == "VBCPU" && type == kVirtualBoxCpuNote) {
    if (!order_.is_big()) add_virtualbox_cpu(data);
  } else if (name == "CORE" && type == NT_PRSTATUS) {
    if (!order_.is_big()) add_status(data);
  } else if (name == "VMCOREINFO" && !vmcoreinfo_ && data.size() <= kLongestVmcoreinfo) {
    vmcoreinfo_ = std::string(text_until_nul(data));
  }
}

void NoteReader::add_qemu_cpu(Bytes data) {
  const auto cpu = load<QemuCpu>(data, 0);
  if (!cpu || cpu->version != kQemuCpuVersion || of_monitor_.size() == kMostCpus) return;
  CpuRegisters registers;
  registers.source = "QEMU";
  registers.rip = cpu->rip;
  registers.rsp = cpu->rsp;
  registers.rflags = cpu->rflags;
  registers.gs_base = cpu->gs.base;
  const Bytes declared = data.first(std::min<std::size_t>(data.size(), cpu->size));
  registers.control =
      CpuRegisters::Control{cpu->cr[0], cpu->cr[2], cpu->cr[3], cpu->cr[4],
                            load<std::uint64_t>(declared, kQemuKernelGsBase).value_or(0)};
  // No processor that runs has this selector: whoever wrote the note knew no more than the above.
  if (cpu->cs.selector != 0) registers.context = context_of(*cpu);
  of_monitor_.push_back(std::move(registers));
}

void NoteReader::add_virtualbox_machine(Bytes data) {
  const auto machine = load<VirtualBoxMachine>(data, 0);
  if (machine && machine->magic == kVirtualBoxMagic && !virtualbox_) virtualbox_ = *machine;
}

void NoteReader::add_virtualbox_cpu(Bytes data) {
  const auto cpu = load<VirtualBoxCpu>(data, 0);
  if (!cpu || !virtualbox_ || virtualbox_->format <= kVirtualBoxOldFormat) return;
  if (of_monitor_.size() == kMostCpus || !can_be_x86_state(cpu->rflags, cpu->cr0)) return;
  CpuRegisters registers;
  registers.source = "VirtualBox";
  registers.rip = cpu->rip;
  registers.rsp = cpu->rsp;
  registers.rflags = cpu->rflags;
  registers.gs_base = cpu->gs.base;
  registers.control =
      CpuRegisters::Control{cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->kernel_gs_base};
  of_monitor_.push_back(std::move(registers));
}

void NoteReader::add_status(Bytes data) {
  const auto* const layout =
      std::find_if(kStatusLayouts.begin(), kStatusLayouts.end(), [&](const StatusLayout& known) {
        // QEMU's kdump does not say what machine it is of; the sizes are enough to tell.
        return (machine_ == EM_NONE || known.machine == machine_) && known.note_size == data.size();
      });
  if (layout == kStatusLayouts.end() || status_.size() == kMostCpus) return;
  CpuRegisters registers;
  registers.source = "PRSTATUS";
  registers.rip = word(data, layout->rip, layout->word);
  registers.rsp = word(data, layout->rsp, layout->word);
  registers.rflags = word(data, layout->rflags, layout->word);
  if (layout->gs_base != 0) registers.gs_base = word(data, layout->gs_base, layout->word);
  status_.push_back(std::move(registers));
}

void NoteReader::finish(Facts& facts) && {
  facts.cpus = std::move(of_monitor_);
  for (std::size_t i = facts.cpus.size(); i < status_.size(); ++i) {
    facts.cpus.push_back(std::move(status_[i]));
  }
  for (std::size_t i = 0; i < facts.cpus.size(); ++i) {
    facts.cpus[i].cpu = static_cast<std::uint32_t>(i);
  }
  if (virtualbox_) {
    const std::uint32_t version = virtualbox_->version;
    facts.header.emplace_back("virtualbox",
                              fmt::format("{}.{}.{} r{}", version >> 24U, version >> 16U & 0xFFU,
                                          version & 0xFFFFU, std::uint32_t{virtualbox_->revision}));
    facts.header.emplace_back("core_format",
                              fmt::format("{:#x}", std::uint32_t{virtualbox_->format}));
    facts.header.emplace_back("cpus", fmt::format("{}", std::uint32_t{virtualbox_->cpus}));
  }
  facts.vmcoreinfo = std::move(vmcoreinfo_);
  facts.machine = machine_;
  facts.notes = std::move(notes_);
}

}  // namespace engram::image::elf
