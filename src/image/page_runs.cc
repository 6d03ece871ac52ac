// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/page_runs.h"

namespace engram::image {

Result<void> BitmapWriter::set(PageRun run) {
  const std::uint64_t bits_in_block = block_.size() * 8;
  while (run.count > 0) {
    ENGRAM_CHECK(go_to(run.first / bits_in_block));
    const std::uint64_t at = run.first % bits_in_block;
    const std::uint64_t bits = std::min(run.count, bits_in_block - at);
    for (std::uint64_t bit = at; bit < at + bits; ++bit) {
      block_[static_cast<std::size_t>(bit / 8)] |= std::byte(1U << (bit % 8));
    }
    is_used_ = true;
    run = {run.first + bits, run.count - bits};
  }
  return {};
}

Result<void> BitmapWriter::go_to(std::uint64_t index) {
  if (index == index_) return {};
  if (is_used_) {
    ENGRAM_CHECK(sink_.write(block_));
    std::fill(block_.begin(), block_.end(), std::byte{});
    is_used_ = false;
    ++index_;
  }
  ENGRAM_CHECK(sink_.zeros((index - index_) * block_.size()));
  index_ = index;
  return {};
}

}  // namespace engram::image
