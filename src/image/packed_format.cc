// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/packed_format.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/magic.h"

namespace engram::image {
namespace {

constexpr std::size_t kMostBlocks = std::size_t{1} << 22;

using namespace std::string_view_literals;

constexpr std::array<PackedFormat, 3> kFormats = {{
    {"gzip", [](Bytes head) { return begins_with(head, "\x1F\x8B\x08"sv); }, find_gzip_blocks,
     gzip_decoder, [](const PackedBlock&) { return bgzf_decoder(); }},
    {"xz",
     [](Bytes head) {
       return begins_with(head,
                          "\xFD"
                          "7zXZ\0"sv);
     },
     find_xz_blocks, xz_decoder,
     [](const PackedBlock& block) { return xz_block_decoder(block.check); }},
    {"zstd",
     [](Bytes head) {
       // pzstd begins with a frame that is to be skipped.
       return begins_with(head, "\x28\xB5\x2F\xFD"sv) || begins_with(head, "\x50\x2A\x4D\x18"sv);
     },
     find_zstd_blocks, zstd_decoder, [](const PackedBlock&) { return zstd_decoder(); }},
}};

}  // namespace

bool PackedBlocks::append(const PackedBlock& block, bool may_merge) {
  const auto end = end_.checked_add(block.size);
  if (!end || end->value > kLongestFile) return false;
  end_ = *end;
  PackedBlock* const last = blocks_.empty() ? nullptr : &blocks_.back();
  if (may_merge && last != nullptr && block.size <= kSmall && last->size <= kSmall - block.size &&
      last->at + last->packed == block.at) {
    last->packed += block.packed;
    last->size += block.size;
    return true;
  }
  if (block.size == 0) return true;
  if (blocks_.size() == kMostBlocks) return false;
  blocks_.push_back(block);
  return true;
}

const PackedFormat* packed_format_of(Bytes head) {
  const auto* const found =
      std::find_if(kFormats.begin(), kFormats.end(),
                   [head](const PackedFormat& format) { return format.sniff(head); });
  return found == kFormats.end() ? nullptr : found;
}

}  // namespace engram::image
