// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Source: RFC 1952; the SAM format specification 1.6, section 4.1 (BGZF).

#include <array>

#include "image/packed_format.h"

namespace engram::image {
namespace {

// As bgzip and all others write it: the extra field has nothing but the length of the member.
struct [[gnu::packed]] BgzfHeader {
  std::array<std::uint8_t, 4> magic;
  std::uint32_t time;
  std::uint8_t flags, system;
  std::uint16_t extra_size;
  std::array<char, 2> name;
  std::uint16_t field_size;
  std::uint16_t member_size;  // in bytes, minus one
};
static_assert(sizeof(BgzfHeader) == 18);
constexpr std::array<std::uint8_t, 4> kMagic = {0x1F, 0x8B, 0x08, 0x04};
constexpr std::uint64_t kTrailerSize = 8;            // CRC-32 and size
constexpr std::uint32_t kLargestMember = 64 * kKiB;  // unpacked

bool is_bgzf(const BgzfHeader& header) {
  return header.magic == kMagic && header.extra_size == 6 && header.name[0] == 'B' &&
         header.name[1] == 'C' && header.field_size == 2;
}

}  // namespace

std::optional<std::vector<PackedBlock>> find_gzip_blocks(const FileView& file) {
  PackedBlocks blocks;
  for (FileOffset at; at.value < file.size();) {
    const auto header = file.load<BgzfHeader>(at);
    if (!header || !is_bgzf(*header)) return std::nullopt;
    const std::uint64_t packed = std::uint64_t{header->member_size} + 1;
    if (packed < sizeof *header + kTrailerSize || file.available(at, packed) < packed) {
      return std::nullopt;
    }
    const auto size = file.load<std::uint32_t>(at + (packed - sizeof(std::uint32_t)));
    if (!size || *size > kLargestMember || !blocks.add(at, packed, *size)) return std::nullopt;
    at = at + packed;
  }
  return blocks.take();
}

}  // namespace engram::image
