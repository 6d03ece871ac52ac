// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the header of a program image (PE) in memory says.

#include <cstdint>
#include <optional>
#include <string>

#include "paging/address_space.h"
#include "types/symbol_file.h"

namespace engram::kernel::windows {

struct ProgramImage {
  VirtAddr base;
  std::uint32_t size = 0;  ///< bytes of address space
  std::uint16_t machine = 0;
  std::uint32_t timestamp = 0;
  std::optional<types::PdbIdentity> pdb;  ///< nothing if there is none or its page is not there
};

/// The image at `base`, 64-bit or 32-bit; nothing if there is none.
[[nodiscard]] std::optional<ProgramImage> read_program_image(const paging::AddressSpace& space,
                                                             VirtAddr base);

}  // namespace engram::kernel::windows
