// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's own symbol table, found in the mapped kernel image and decoded, whatever kernel
// wrote it.

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
  VirtAddr relative_base;        ///< its value; 0 where the encoding has none
  std::string description;       ///< for the diagnostics: which layout, how it was proven
  SymbolTable::Builder symbols;  ///< the kernel's own, in kallsyms order, with their ranges
};

/// Searches `image` (the mappings of the kernel image, sorted by address) for kallsyms. Every
/// layout and encoding is tried, and the one is taken whose decoded symbols prove right: addresses
/// ascend, nine of ten lie in the image, _stext is code, linux_banner holds "Linux version "
/// (unless there is no such symbol, or the image does not have its page), and kallsyms_names, if it
/// is a symbol, is where the names were found. Names, types, addresses and order are those of the
/// kernel's own lines in /proc/kallsyms. Bounded for hostile images: less than 200 MiB, and a few
/// seconds. Errors: no token table, or none that decodes; the text says how far the best candidate
/// came.
[[nodiscard]] Result<Kallsyms> find_kallsyms(const paging::AddressSpace& space,
                                             std::span<const paging::Mapping> image,
                                             Diagnostics& diagnostics);

}  // namespace engram::types
