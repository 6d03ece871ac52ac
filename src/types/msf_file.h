// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The container of PDB files (MSF 7.00): streams, each in blocks anywhere in the file.

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace engram::types::pdb {

class MsfFile {
 public:
  [[nodiscard]] static bool is_one(Bytes file);

  /// Borrows the bytes. Errors: a block or the directory does not lie in the file; a stream is
  /// larger than the file.
  static Result<MsfFile> open(Bytes file);

  [[nodiscard]] std::size_t stream_count() const { return streams_.size(); }
  /// A copy of the stream's bytes; empty for one that is marked as not there. Errors: there are not
  /// so many; one of its blocks does not lie in the file.
  [[nodiscard]] Result<std::vector<std::byte>> stream(std::uint32_t number) const;

 private:
  struct Stream {
    std::uint32_t size = 0;
    std::size_t first_block = 0;  ///< in blocks_
  };

  explicit MsfFile(Bytes file) : file_(file) {}
  [[nodiscard]] Result<std::vector<std::byte>> read(std::size_t first_block,
                                                    std::uint32_t size) const;
  Result<void> read_directory();

  Bytes file_;
  std::uint32_t block_size_ = 0;
  std::vector<std::uint32_t> blocks_;
  std::vector<Stream> streams_;
};

}  // namespace engram::types::pdb
