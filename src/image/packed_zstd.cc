// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Source: RFC 8878; facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md.

#include <zstd.h>

#include <array>

#include "image/packed_format.h"

namespace engram::image {
namespace {

constexpr std::uint32_t kFrame = 0xFD2FB528;
constexpr std::uint32_t kSkippable = 0x184D2A50;  // to ...5F
constexpr std::uint32_t kSeekTableFrame = 0x184D2A5E;
constexpr std::uint32_t kSeekTable = 0x8F92EAB1;

struct [[gnu::packed]] SkippableHeader {
  std::uint32_t magic, size;
};
struct [[gnu::packed]] SeekTableFooter {
  std::uint32_t frame_count;
  std::uint8_t flags;
  std::uint32_t magic;
};
static_assert(sizeof(SeekTableFooter) == 9);
constexpr unsigned kHasChecksums = 0x80;

bool is_skippable(std::uint32_t magic) {
  return (magic & ~0xFU) == kSkippable;
}

/// Nothing if there is no seek table, or it does not fit the file.
std::optional<std::vector<PackedBlock>> read_seek_table(const FileView& file) {
  if (file.size() < sizeof(SkippableHeader) + sizeof(SeekTableFooter)) return std::nullopt;
  const FileOffset footer_at(file.size() - sizeof(SeekTableFooter));
  const auto footer = file.load<SeekTableFooter>(footer_at);
  if (!footer || footer->magic != kSeekTable) return std::nullopt;
  const std::uint64_t entry_size = (footer->flags & kHasChecksums) != 0 ? 12 : 8;
  const std::uint64_t size = footer->frame_count * entry_size;
  if (size > footer_at.value - sizeof(SkippableHeader)) return std::nullopt;
  const FileOffset table_at = footer_at - (size + sizeof(SkippableHeader));
  const auto header = file.load<SkippableHeader>(table_at);
  if (!header || header->magic != kSeekTableFrame || header->size != size + sizeof *footer) {
    return std::nullopt;
  }
  PackedBlocks blocks;
  FileOffset at;
  const auto table = file.copy(table_at + sizeof *header, size);
  for (std::uint64_t entry = 0; entry < size; entry += entry_size) {
    const auto packed = load<std::uint32_t>(table, entry);
    const auto unpacked = load<std::uint32_t>(table, entry + sizeof *packed);
    if (!packed || !unpacked || file.available(at, *packed) < *packed) return std::nullopt;
    if (!blocks.add(at, *packed, *unpacked)) return std::nullopt;
    at = at + *packed;
  }
  if (at != table_at) return std::nullopt;
  return blocks.take();
}

/// The frame at `at`, in bytes of the file; nothing if it is none, or is cut. RFC 8878, 3.1.1.
std::optional<std::uint64_t> frame_length(const FileView& file, FileOffset at) {
  const auto descriptor = file.load<std::uint8_t>(at + sizeof kFrame);
  if (!descriptor) return std::nullopt;
  constexpr std::array<unsigned, 4> kDictionarySizes = {0, 1, 2, 4};
  constexpr std::array<unsigned, 4> kContentSizes = {0, 2, 4, 8};
  const bool single_segment = (*descriptor & 0x20U) != 0;
  const unsigned content = kContentSizes[*descriptor >> 6U];
  std::uint64_t length = sizeof kFrame + 1 + (single_segment ? 0 : 1) +
                         kDictionarySizes[*descriptor & 3U] +
                         (content == 0 && single_segment ? 1 : content);
  for (bool last = false; !last;) {
    const auto low = file.load<std::uint16_t>(at + length);
    const auto high = file.load<std::uint8_t>(at + length + 2);
    if (!low || !high) return std::nullopt;
    const std::uint32_t header = *low | std::uint32_t{*high} << 16U;
    constexpr std::uint32_t kRepeatedByte = 1;
    last = (header & 1U) != 0;
    length += 3 + ((header >> 1U & 3U) == kRepeatedByte ? 1 : header >> 3U);
  }
  if ((*descriptor & 4U) != 0) length += 4;  // the checksum
  if (file.available(at, length) < length) return std::nullopt;
  return length;
}

std::optional<std::vector<PackedBlock>> walk_frames(const FileView& file) {
  constexpr std::uint64_t kLongestHeader = 18;
  PackedBlocks blocks;
  for (FileOffset at; at.value < file.size();) {
    const auto head = file.copy(at, kLongestHeader);
    const auto magic = load<std::uint32_t>(head, 0);
    if (!magic) return std::nullopt;
    std::uint64_t length = 0;
    std::uint64_t size = 0;
    if (is_skippable(*magic)) {
      const auto declared = load<std::uint32_t>(head, sizeof *magic);
      if (!declared) return std::nullopt;
      length = sizeof(SkippableHeader) + *declared;
      if (file.available(at, length) < length) return std::nullopt;
    } else {
      const unsigned long long content = ::ZSTD_getFrameContentSize(head.data(), head.size());
      if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR) {
        return std::nullopt;
      }
      const auto found = frame_length(file, at);
      if (!found) return std::nullopt;
      length = *found;
      size = content;
    }
    if (!blocks.add(at, length, size)) return std::nullopt;
    at = at + length;
  }
  return blocks.take();
}

}  // namespace

std::optional<std::vector<PackedBlock>> find_zstd_blocks(const FileView& file) {
  if (auto blocks = read_seek_table(file)) return blocks;
  return walk_frames(file);
}

}  // namespace engram::image
