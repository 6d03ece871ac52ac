// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The compressions of whole files: packed bytes in, a piece at a time, unpacked bytes out.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace engram::image {

/// One stream that is unpacked from its beginning. For one thread.
class StreamDecoder {
 public:
  enum class State : std::uint8_t {
    more,     ///< room, or packed bytes, are wanted
    end,      ///< the stream is whole; behind it another one may begin
    damaged,  ///< problem() says how; of what was written before some may be wrong, too: a
              ///< checksum stands behind the bytes
  };
  struct Step {
    std::size_t read = 0, written = 0;  ///< bytes
    State state = State::more;
  };

  virtual ~StreamDecoder() = default;
  /// Takes bytes from the beginning of `from` and writes to the beginning of `to`, until one of
  /// them is used up. Neither is empty, but `from` may be where the file has ended.
  [[nodiscard]] virtual Step step(Bytes from, MutableBytes to) = 0;
  [[nodiscard]] const std::string& problem() const { return problem_; }

 protected:
  Step damaged(std::string problem, std::size_t read = 0, std::size_t written = 0) {
    problem_ = std::move(problem);
    return {read, written, State::damaged};
  }

 private:
  std::string problem_;
};

// Null if there is no memory for one. Windows of up to 2 GiB are allocated if a stream asks for
// them, and fill as far as it has data.

/// One gzip member after another, with zeros behind the last one.
[[nodiscard]] std::unique_ptr<StreamDecoder> gzip_decoder();
/// The same for members of 64 KiB, which are unpacked whole where all of one is there: three times
/// as fast.
[[nodiscard]] std::unique_ptr<StreamDecoder> bgzf_decoder();
/// One zstd frame after another; frames that are to be skipped give nothing.
[[nodiscard]] std::unique_ptr<StreamDecoder> zstd_decoder();
/// One xz stream after another, with padding between them.
[[nodiscard]] std::unique_ptr<StreamDecoder> xz_decoder();
/// One block of an xz stream; `check` is the stream's kind of checksum.
[[nodiscard]] std::unique_ptr<StreamDecoder> xz_block_decoder(unsigned check);

}  // namespace engram::image
