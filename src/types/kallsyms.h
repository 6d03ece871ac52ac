// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's own symbol table, found in the mapped kernel image and decoded, whatever kernel wrote it.

#include <span>
#include <string>

#include "base/diagnostics.h"
#include "paging/address_space.h"
#include "types/symbols.h"

namespace engram::types {

/// How kallsyms stores addresses.
enum class AddressEncoding : std::uint8_t {
  absolute,         ///< 8-byte addresses (CONFIG_KALLSYMS_BASE_RELATIVE=n)
  base_relative,    ///< relative_base + unsigned 32-bit offset
  absolute_percpu,  ///< signed 32-bit: not negative is absolute, else relative_base - 1 - offset
  pc_relative,      ///< place of the entry + signed 32-bit offset (7.0 and later)
};

struct Kallsyms {
  AddressEncoding encoding = AddressEncoding::base_relative;
  VirtAddr num_syms, names, markers, token_table, token_index, offsets;  ///< where the parts lie
  VirtAddr relative_base;                ///< its value; 0 where the encoding has none
  std::string description;               ///< for the diagnostics: which layout, how it was proven
  SymbolTable::Builder symbols;          ///< the kernel's own symbols, in kallsyms order
};

/// Searches `image` (the mappings of the kernel image) for kallsyms. Every layout and encoding is tried, and
/// the one is taken whose decoded symbols prove right: addresses ascend, _text / _stext lie in the image, and
/// linux_banner's address holds "Linux version ".
/// Errors: no token table, or none that decodes; the text says how far the best candidate came.
[[nodiscard]] Result<Kallsyms> find_kallsyms(const paging::AddressSpace& space,
                                             std::span<const paging::Mapping> image,
                                             Diagnostics& diagnostics);

}  // namespace engram::types
