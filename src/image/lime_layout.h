// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// LiME version 1 on disk: a file is ranges, each one this header and then its bytes. Little-endian.
// AVML has the same header, with another magic and version, before a range that it has compressed.
// Source: LiME, doc/README.md ("Spec") and src/lime.h, lime_mem_range_header; AVML, src/image.rs.

#include <array>
#include <cstddef>
#include <cstdint>

namespace engram::image::lime {

inline constexpr std::uint32_t kMagic = 0x4C694D45;  // "EMiL" in the file
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kAvmlMagic = 0x4C4D5641;  // "AVML"
inline constexpr std::uint32_t kAvmlVersion = 2;

struct [[gnu::packed]] RangeHeader {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t first;  // physical address of the first byte
  std::uint64_t last;   // physical address of the last byte: inclusive
  std::array<std::byte, 8> reserved;
};
static_assert(sizeof(RangeHeader) == 32);

}  // namespace engram::image::lime
