// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/write_notes.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace engram::image {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kNoteAlignment = 4;

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Appends notes in the facts' byte order.
class NoteWriter {
 public:
  explicit NoteWriter(const Facts& facts) : order_(byte_order_of(facts)) {
    notes_.bytes = facts.notes;
  }

  /// Where the data lies. `name` includes its NUL.
  std::uint64_t add(std::string_view name, std::uint32_t type, Bytes data) {
    const Elf64_Nhdr header{order_(static_cast<Elf64_Word>(name.size())),
                            order_(static_cast<Elf64_Word>(data.size())), order_(type)};
    append(std::as_bytes(std::span(&header, 1)));
    append(bytes_of(name));
    const std::uint64_t at = notes_.bytes.size();
    append(data);
    return at;
  }

  void add_status(const CpuRegisters& cpu, const elf::StatusLayout& layout) {
    if (cpu.rip == 0 && cpu.rsp == 0) return;  // not known: control registers are all there is
    std::vector<std::byte> data(layout.note_size);
    const auto put = [&](std::size_t at, std::uint64_t value) {
      std::memcpy(data.data() + at, &value, layout.word);
    };
    put(layout.rip, cpu.rip);
    put(layout.rsp, cpu.rsp);
    put(layout.rflags, cpu.rflags);
    if (layout.gs_base != 0) put(layout.gs_base, cpu.gs_base);
    add("CORE\0"sv, NT_PRSTATUS, data);
  }

  /// The general registers and selectors, if it has both.
  static void add_context(const ContextAmd64& context, elf::QemuCpu& cpu) {
    constexpr std::uint32_t kNeeded = kContextControl | kContextInteger | kContextSegments;
    if ((context.flags & kNeeded) != kNeeded) return;
    cpu.rax = context.rax;
    cpu.rbx = context.rbx;
    cpu.rcx = context.rcx;
    cpu.rdx = context.rdx;
    cpu.rsi = context.rsi;
    cpu.rdi = context.rdi;
    cpu.rbp = context.rbp;
    cpu.r8_to_r15 = {context.r8,  context.r9,  context.r10, context.r11,
                     context.r12, context.r13, context.r14, context.r15};
    cpu.cs.selector = context.cs;
    cpu.ds.selector = context.ds;
    cpu.es.selector = context.es;
    cpu.fs.selector = context.fs;
    cpu.gs.selector = context.gs;
    cpu.ss.selector = context.ss;
  }

  void add_qemu(const CpuRegisters& cpu) {
    struct [[gnu::packed]] {
      elf::QemuCpu cpu = {};
      std::uint64_t kernel_gs_base = 0;
    } data;
    static_assert(offsetof(decltype(data), kernel_gs_base) == elf::kQemuKernelGsBase);
    data.cpu.version = elf::kQemuCpuVersion;
    data.cpu.size = sizeof data;
    if (cpu.context) add_context(*cpu.context, data.cpu);
    data.cpu.rip = cpu.rip;
    data.cpu.rsp = cpu.rsp;
    data.cpu.rflags = cpu.rflags;
    data.cpu.gs.base = cpu.gs_base;
    data.cpu.cr = {cpu.control->cr0, 0, cpu.control->cr2, cpu.control->cr3, cpu.control->cr4};
    data.kernel_gs_base = cpu.control->kernel_gs_base;
    add("QEMU\0"sv, 0, std::as_bytes(std::span(&data, 1)));
  }

  /// The text of the first VMCOREINFO note, which is added if there is none.
  void place_vmcoreinfo(const std::string& text) {
    std::uint64_t at = 0;
    while (const auto header = load<Elf64_Nhdr>(notes_.bytes, at)) {
      const std::uint64_t name_size = order_(header->n_namesz);
      const std::uint64_t size = order_(header->n_descsz);
      const std::uint64_t name_at = at + sizeof *header;
      const std::uint64_t data_at = name_at + align_up(name_size, kNoteAlignment);
      const auto name = slice(notes_.bytes, name_at, name_size);
      if (name && text_until_nul(*name) == "VMCOREINFO") {
        notes_.vmcoreinfo_at = data_at;
        notes_.vmcoreinfo_size = size;
        return;
      }
      at = data_at + align_up(size, kNoteAlignment);
    }
    notes_.vmcoreinfo_at = add("VMCOREINFO\0"sv, 0, bytes_of(text));
    notes_.vmcoreinfo_size = text.size();
  }

  Notes finish() && { return std::move(notes_); }

 private:
  void append(Bytes bytes) {
    notes_.bytes.insert(notes_.bytes.end(), bytes.begin(), bytes.end());
    notes_.bytes.resize(static_cast<std::size_t>(align_up(notes_.bytes.size(), kNoteAlignment)));
  }

  const elf::ByteOrder order_;
  Notes notes_;
};

}  // namespace

std::uint16_t machine_of(const Facts& facts) {
  if (facts.machine != EM_NONE) return facts.machine;
  switch (facts.architecture) {
    case Architecture::x86_64:
      return EM_X86_64;
    case Architecture::arm64:
      return EM_AARCH64;
    case Architecture::x86:
      return EM_386;
    case Architecture::unknown:
      break;
  }
  return EM_NONE;
}

Notes make_notes(const Facts& facts) {
  NoteWriter writer(facts);
  const auto* const layout =
      std::find_if(elf::kStatusLayouts.begin(), elf::kStatusLayouts.end(),
                   [&](const auto& known) { return known.machine == machine_of(facts); });
  const bool little = facts.byte_order == std::endian::little;
  if (facts.notes.empty() && little && layout != elf::kStatusLayouts.end()) {
    for (const CpuRegisters& cpu : facts.cpus) writer.add_status(cpu, *layout);
    for (const CpuRegisters& cpu : facts.cpus) {
      if (cpu.control && layout->machine == EM_X86_64) writer.add_qemu(cpu);
    }
  }
  if (facts.vmcoreinfo) writer.place_vmcoreinfo(*facts.vmcoreinfo);
  return std::move(writer).finish();
}

}  // namespace engram::image
