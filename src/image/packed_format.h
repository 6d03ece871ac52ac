// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The formats of files that are packed as a whole: how each is recognised, unpacked, and whether
// parts of it can be unpacked by themselves.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "image/file_view.h"
#include "image/stream_decoder.h"

namespace engram::image {

/// A part of a packed file that can be unpacked without what comes before it.
struct PackedBlock {
  FileOffset at;             ///< in the packed file
  std::uint64_t packed = 0;  ///< bytes there
  FileOffset start;          ///< in the unpacked file
  std::uint64_t size = 0;    ///< bytes there
  unsigned check = 0;        ///< of xz: which checksum its stream has
};

/// The blocks of a file in order, without a gap between them once they are unpacked.
class PackedBlocks {
 public:
  /// Neighbours that are smaller than this together become one: there may be millions of 64 KiB.
  static constexpr std::uint64_t kSmall = 256 * kKiB;
  /// Nothing is unpacked to a longer file: as much as any dump's memory may have.
  static constexpr std::uint64_t kLongestFile = std::uint64_t{1} << 47;

  /// False if they are too many, or end where no file does.
  [[nodiscard]] bool add(FileOffset at, std::uint64_t packed, std::uint64_t size) {
    return append({at, packed, end_, size, 0}, true);
  }
  /// One that stays by itself.
  [[nodiscard]] bool add_single(FileOffset at, std::uint64_t packed, std::uint64_t size,
                                unsigned check) {
    return append({at, packed, end_, size, check}, false);
  }
  [[nodiscard]] std::vector<PackedBlock> take() { return std::move(blocks_); }

 private:
  [[nodiscard]] bool append(const PackedBlock& block, bool may_merge);

  std::vector<PackedBlock> blocks_;
  FileOffset end_;  // of the unpacked file
};

struct PackedFormat {
  const char* name;
  bool (*sniff)(Bytes head);
  /// Nothing if the file cannot be unpacked in parts, or is cut or damaged so that its parts are
  /// not all known.
  std::optional<std::vector<PackedBlock>> (*find_blocks)(const FileView& file);
  std::unique_ptr<StreamDecoder> (*stream)();
  std::unique_ptr<StreamDecoder> (*block)(const PackedBlock& block);
};

/// gzip, xz, zstd. Null: none of them.
[[nodiscard]] const PackedFormat* packed_format_of(Bytes head);

// Each in a file of its own: packed_gzip.cc ...

/// Members that say how long they are (BGZF).
[[nodiscard]] std::optional<std::vector<PackedBlock>> find_gzip_blocks(const FileView& file);
/// Blocks of the index at the end.
[[nodiscard]] std::optional<std::vector<PackedBlock>> find_xz_blocks(const FileView& file);
/// Frames of the seek table at the end, or those that all say how long they are.
[[nodiscard]] std::optional<std::vector<PackedBlock>> find_zstd_blocks(const FileView& file);

}  // namespace engram::image
