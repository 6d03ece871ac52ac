// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Source: the .xz file format 1.2.0; liblzma reads the index.

#include <lzma.h>

#include <array>

#include "image/packed_format.h"

namespace engram::image {
namespace {

constexpr std::uint64_t kMostIndexBytes = 256 * kMiB;

struct FreeIndex {
  void operator()(lzma_index* index) const { ::lzma_index_end(index, nullptr); }
};
using Index = std::unique_ptr<lzma_index, FreeIndex>;

/// Null if it is damaged, or the file is cut.
Index read_index(const FileView& file) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_index* found = nullptr;
  lzma_ret status = ::lzma_file_info_decoder(&stream, &found, kMostIndexBytes, file.size());
  std::vector<std::byte> bytes(64 * kKiB);
  FileOffset at;
  while (status == LZMA_OK || status == LZMA_SEEK_NEEDED) {
    if (status == LZMA_SEEK_NEEDED) {
      at = FileOffset(stream.seek_pos);
      stream.avail_in = 0;
    }
    if (stream.avail_in == 0) {
      stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
      stream.avail_in = file.read(at, bytes);
      if (stream.avail_in == 0) break;
      at = at + stream.avail_in;
    }
    status = ::lzma_code(&stream, LZMA_RUN);
  }
  ::lzma_end(&stream);
  return Index(status == LZMA_STREAM_END ? found : nullptr);
}

}  // namespace

std::optional<std::vector<PackedBlock>> find_xz_blocks(const FileView& file) {
  const Index index = read_index(file);
  if (index == nullptr) return std::nullopt;
  PackedBlocks blocks;
  lzma_index_iter at;
  ::lzma_index_iter_init(&at, index.get());
  while (::lzma_index_iter_next(&at, LZMA_INDEX_ITER_NONEMPTY_BLOCK) == 0) {
    if (at.stream.flags == nullptr ||
        !blocks.add_single(FileOffset(at.block.compressed_file_offset), at.block.total_size,
                           at.block.uncompressed_size, at.stream.flags->check)) {
      return std::nullopt;
    }
  }
  return blocks.take();
}

}  // namespace engram::image
