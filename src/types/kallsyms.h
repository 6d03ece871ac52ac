// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's own symbol table, found in the mapped kernel image and decoded, whatever kernel
// wrote it.

#include <memory>
#include <span>
#include <string>

#include "base/diagnostics.h"
#include "base/digest.h"
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

class KallsymsSource;

struct Kallsyms {
  AddressEncoding encoding = AddressEncoding::base_relative;
  VirtAddr num_syms, names, markers, token_table, token_index, offsets;  ///< where the parts lie
  VirtAddr relative_base;   ///< its value; 0 where the encoding has none
  std::string description;  ///< for the diagnostics: which layout, how it was proven
  std::shared_ptr<const KallsymsSource> source;
  SymbolTable symbols;  ///< those of `source`: the kernel's own, in order, with their ranges
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

/// What a search has found out, for a second one in the same image or in one of the same machine.
struct KallsymsRecord {
  struct Fixed {
    std::uint64_t digits, num_syms, names, markers, offsets;  ///< addresses
    std::uint64_t names_size;                                 ///< bytes
    std::uint32_t count, marker_size;
    AddressEncoding encoding;
    std::uint8_t behind_index;
    std::uint8_t unused[6];
    std::uint32_t landmarks[10];  ///< places in the list, or kNoLandmark
    std::uint64_t seed;           ///< of the numbers, and of the digest
    Digest content;               ///< of names, markers and tokens
  };
  static_assert(std::is_trivially_copyable_v<Fixed> && sizeof(Fixed) == 128);
  static constexpr std::uint32_t kNoLandmark = ~std::uint32_t{0};

  Fixed fixed{};
  mapping::BulkVector<std::uint32_t> numbers;  ///< of the names
};

/// Of what find_kallsyms() has found; the numbers are copied.
[[nodiscard]] KallsymsRecord record_of(const Kallsyms& found);

/// What find_kallsyms() had found when `record` was made, without a search. Names and markers are
/// believed to be walked already if they and the tokens are what they were, bit for bit; all else
/// is checked as by a search. A record may say anything: one that was not made from this image
/// gives an error, or symbols that are in the image, of which some may not be found by name.
/// Errors: what is not as the record says.
[[nodiscard]] Result<Kallsyms> reopen_kallsyms(const paging::AddressSpace& space,
                                               std::span<const paging::Mapping> image,
                                               KallsymsRecord record, Diagnostics& diagnostics);

}  // namespace engram::types
