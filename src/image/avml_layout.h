// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// AVML version 2 on disk: blocks, each with LiME's header (another magic, version 2), the range's
// bytes as a stream in the framing format of Snappy, and the length of that stream. Little-endian.
// Source: AVML, src/image.rs; Snappy, framing_format.txt.

#include <array>
#include <cstdint>

#include "base/units.h"
#include "image/lime_layout.h"

namespace engram::image::avml {

inline constexpr std::uint32_t kMagic = lime::kAvmlMagic;
inline constexpr std::uint32_t kVersion = lime::kAvmlVersion;

/// AVML writes larger ranges as several blocks.
inline constexpr std::uint64_t kMostBlockBytes = 256 * kMiB;

using BlockLength = std::uint64_t;  // behind the stream: of all of its chunks

inline constexpr std::array<std::uint8_t, 10> kStreamIdentifier = {0xFF, 0x06, 0x00, 0x00, 's',
                                                                   'N',  'a',  'P',  'p',  'Y'};
inline constexpr std::uint8_t kChunkCompressed = 0;
inline constexpr std::uint8_t kChunkPlain = 1;
inline constexpr std::uint64_t kMostChunkBytes = 64 * kKiB;  // of memory, in one chunk

struct [[gnu::packed]] ChunkHeader {
  std::uint8_t type;
  std::array<std::uint8_t, 3> size;  // of what follows: the checksum and the data
  std::uint32_t checksum;            // CRC-32C of the memory, masked
};
static_assert(sizeof(ChunkHeader) == 8);

/// Checksums of data that hold checksums themselves would be weak: they are stored like this.
[[nodiscard]] constexpr std::uint32_t masked(std::uint32_t crc) {
  return ((crc >> 15U) | (crc << 17U)) + 0xA282EAD8U;
}

}  // namespace engram::image::avml
