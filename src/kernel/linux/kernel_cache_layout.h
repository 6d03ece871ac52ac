// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A file of the kernel cache: this header, and one 32-bit number a name behind it.

#include <array>
#include <cstdint>
#include <type_traits>

#include "base/digest.h"
#include "types/kallsyms.h"
#include "types/type_db.h"

namespace engram::kernel::cache {

inline constexpr std::array<char, 8> kMagic{'e', 'n', 'g', 'r', 'a', 'm', '\0', 'K'};
/// To be raised when anything in a file means something else: the layout, the numbers of names,
/// what BTF is checked for.
inline constexpr std::uint32_t kVersion = 1;

struct Header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t size;            ///< of this header
  std::array<char, 32> program;  ///< the version of the program that wrote it, padded with NUL
  Digest key;                    ///< which is the file's name, too
  types::KallsymsRecord::Fixed kallsyms;
  types::TypeDb::Record types;  ///< the kernel's BTF, which has passed every check
  Digest numbers;               ///< of what is behind this header
  Digest header;                ///< of all before
};
static_assert(std::is_trivially_copyable_v<Header> && sizeof(Header) == 248);
static_assert(std::has_unique_object_representations_v<Header>);

}  // namespace engram::kernel::cache
