// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Notes of an ELF core, of arbitrary content: what is understood of them is written again as notes,
// of which the same is understood.
//
// Input: a byte that chooses the machine and the byte order, then notes.

#include "image/elf_notes.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>

#include "image/write_notes.h"

namespace {

using namespace engram;

void require(bool condition) {
  if (!condition) std::abort();
}

image::Facts read(Bytes notes, std::uint16_t machine, bool big, bool& whole) {
  image::elf::NoteReader reader(machine, image::elf::ByteOrder(big));
  whole = reader.add(notes);
  image::Facts facts;
  facts.byte_order = big ? std::endian::big : std::endian::little;
  std::move(reader).finish(facts);
  return facts;
}

void check_same(const image::Facts& facts, const image::Facts& again) {
  require(again.cpus.size() == facts.cpus.size() && again.vmcoreinfo == facts.vmcoreinfo);
  for (std::size_t i = 0; i < facts.cpus.size(); ++i) {
    const image::CpuRegisters& a = facts.cpus[i];
    const image::CpuRegisters& b = again.cpus[i];
    require(a.cpu == i && b.cpu == i && a.source == b.source);
    require(a.rip == b.rip && a.rsp == b.rsp && a.rflags == b.rflags && a.gs_base == b.gs_base);
    require(a.control.has_value() == b.control.has_value());
    require(!a.control || a.control->cr3 == b.control->cr3);
    require(a.context.has_value() == b.context.has_value());
    require(!a.context || a.context->rax == b.context->rax);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::array<std::uint16_t, 4> kMachines = {EM_NONE, EM_X86_64, EM_386, EM_AARCH64};
  const std::uint16_t machine = kMachines[data[0] % kMachines.size()];
  const bool big = (data[0] & 0x80) != 0;
  const Bytes input = std::as_bytes(std::span(data, size)).subspan(1);
  bool whole = false;
  const image::Facts facts = read(input, machine, big, whole);
  require(facts.notes.size() % 4 == 0 && facts.notes.size() <= input.size() + 3);
  require(!whole || facts.notes.size() >= input.size());
  require(facts.machine == machine);
  // What is kept of them alone.
  const image::Facts again = read(facts.notes, machine, big, whole);
  require(whole);
  check_same(facts, again);
  // Whoever copies a dump writes them, and adds what is missing.
  const image::Notes written = image::make_notes(facts);
  check_same(facts, read(written.bytes, machine, big, whole));
  require(whole);
  require(written.vmcoreinfo_at + written.vmcoreinfo_size <= written.bytes.size());
  return 0;
}
