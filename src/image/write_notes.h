// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Facts to ELF notes, for the dumps that have them.

#include <cstdint>
#include <vector>

#include "image/elf_layout.h"
#include "image/image.h"

namespace engram::image {

/// ELF notes, one after the other, each padded to four bytes.
struct Notes {
  std::vector<std::byte> bytes;
  std::uint64_t vmcoreinfo_at = 0;  ///< of the text in `bytes`
  std::uint64_t vmcoreinfo_size = 0;
};

/// The notes of the facts as they are. What the facts know besides is added: registers of CPUs
/// (where it is known what a note of theirs looks like) if the notes are none, VMCOREINFO if it is
/// not among them.
[[nodiscard]] Notes make_notes(const Facts& facts);

/// e_machine; EM_NONE if it is not known.
[[nodiscard]] std::uint16_t machine_of(const Facts& facts);

[[nodiscard]] inline elf::ByteOrder byte_order_of(const Facts& facts) {
  return elf::ByteOrder(facts.byte_order == std::endian::big);
}

}  // namespace engram::image
