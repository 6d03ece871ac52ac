// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a VMware state file (.vmss of a suspended machine, .vmsn of a snapshot) has on disk: a
// header, groups, and in each group tags with a value or a block of bytes. Little-endian.
//
// Sources: crash, vmware_vmss.h and vmware_vmss.c, which VMware wrote; volatility3,
// framework/layers/vmware.py.

#include <array>
#include <cstddef>
#include <cstdint>

namespace engram::image::vmware {

struct [[gnu::packed]] Header {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t groups;
};
static_assert(sizeof(Header) == 12);

// A magic that ends with 0 is of a file whose blocks have sizes of 32 bits; all others have 64.
inline constexpr std::array<std::uint32_t, 6> kMagics = {0xbed0bed0, 0xbed2bed0,
                                                         0xbed2bed2, 0xbed3bed3,
                                                         0xbad1bad1,   // restored already
                                                         0xbad2bad2};  // not to be restored

struct [[gnu::packed]] Group {
  std::array<std::byte, 64> name;
  std::uint64_t at;  // of its first tag
  std::uint64_t size;
};
static_assert(sizeof(Group) == 80);

// A tag begins with 16 bits: size of the value (6), number of indices (2), length of the name (8);
// then the name, and 32 bits for each index. All 0: the end of the group.
inline constexpr unsigned kValueBits = 6;
inline constexpr unsigned kIndexBits = 2;
// Instead of a size: a block follows, which begins with its size in the file, its size in memory,
// and 16 bits with the length of the padding behind them.
inline constexpr unsigned kBlock = 63;
inline constexpr unsigned kCompressedBlock = 62;

}  // namespace engram::image::vmware
