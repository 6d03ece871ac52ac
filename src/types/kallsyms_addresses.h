// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The addresses of kallsyms: found beside the names or behind the token index, decoded, and proven.
//
// scripts/kallsyms.c has written them in four encodings, and before the number of symbols (up
// to 6.3) or behind the token index (6.4 and later, commit 404bad70fcf7). Which of them a kernel
// has is not asked but tried: only one gives addresses that ascend, a _stext that is code and a
// linux_banner that holds the banner.

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "mapping/bulk.h"
#include "paging/address_space.h"
#include "types/kallsyms.h"
#include "types/kallsyms_names.h"
#include "types/kallsyms_tokens.h"

namespace engram::types {

struct KallsymsAddresses {
  AddressEncoding encoding = AddressEncoding::base_relative;
  VirtAddr offsets;                      ///< where the entries lie
  VirtAddr relative_base;                ///< 0 for encodings without one
  bool behind_index = false;             ///< the layout of 6.4 and later
  mapping::BulkVector<VirtAddr> values;  ///< one a symbol
  std::uint32_t descents = 0;  ///< values below the one before: none in an undamaged kernel
  std::string proof;           ///< what speaks for this encoding
};

[[nodiscard]] const char* to_string(AddressEncoding encoding);

/// The addresses of the symbols of `names`.
/// Errors: no encoding at any of the places gives addresses that ascend, or none of those proves
/// right; the text says what was wrong with the best of them.
[[nodiscard]] Result<KallsymsAddresses> find_addresses(const paging::AddressSpace& space,
                                                       std::span<const paging::Mapping> image,
                                                       const TokenTable& tokens,
                                                       const NameArea& names,
                                                       const Landmarks& landmarks);

/// The addresses whose place, encoding and layout `known` gives; they are decoded and proven as by
/// find_addresses().
/// Errors: they cannot be read, do not ascend, or do not prove right.
[[nodiscard]] Result<KallsymsAddresses> read_addresses(const paging::AddressSpace& space,
                                                       std::span<const paging::Mapping> image,
                                                       const NameArea& names,
                                                       const Landmarks& landmarks,
                                                       const KallsymsAddresses& known);

}  // namespace engram::types
