// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The notes of an ELF core: bytes of a PT_NOTE segment in, facts out.

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "image/elf_layout.h"
#include "image/image.h"

namespace engram::image::elf {

/// Collects the facts of all PT_NOTE segments of one file. Notes that it does not know are skipped;
/// CPUs of big-endian machines are among them.
class NoteReader {
 public:
  NoteReader(std::uint16_t machine, ByteOrder order) : machine_(machine), order_(order) {}

  /// False if the notes end in the middle of one; those before it are kept.
  bool add(Bytes notes);

  /// A CPU's registers are those of the note of its monitor (QEMU, VirtualBox), or of its PRSTATUS
  /// note if there is none. Notes have no CPU number that could be trusted; all kinds come in the
  /// order of the CPUs.
  void finish(Facts& facts) &&;

 private:
  void add_note(std::string_view name, std::uint32_t type, Bytes data);
  /// Appends a whole note, whose padding the last one in a file may lack.
  void keep(Bytes notes, std::uint64_t at, std::uint64_t end);
  void add_qemu_cpu(Bytes data);
  void add_virtualbox_machine(Bytes data);
  void add_virtualbox_cpu(Bytes data);
  void add_status(Bytes data);

  const std::uint16_t machine_;
  const ByteOrder order_;
  std::vector<CpuRegisters> of_monitor_;
  std::vector<CpuRegisters> status_;
  std::optional<std::string> vmcoreinfo_;
  std::optional<VirtualBoxMachine> virtualbox_;
  std::vector<std::byte> notes_;
};

}  // namespace engram::image::elf
