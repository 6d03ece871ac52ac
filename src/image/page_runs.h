// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory as formats of whole pages declare it: runs of pages, and bitmaps of them.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "image/write_ranges.h"

namespace engram::image {

struct PageRun {
  std::uint64_t first = 0, count = 0;
};

/// The pages of which there is at least one byte, in their order.
class PageRuns {
 public:
  PageRuns(const guest::Memory& memory, std::uint64_t page_size, PresentRanges::Which which)
      : ranges_(memory, which), page_size_(page_size) {}

  [[nodiscard]] std::optional<PageRun> next() {
    while (const auto range = ranges_.next()) {
      const std::uint64_t first = std::max(range->start.value / page_size_, end_);
      const std::uint64_t end = range->last().value / page_size_ + 1;
      if (first >= end) continue;  // in the page in which the last range ended
      end_ = end;
      return PageRun{first, end - first};
    }
    return std::nullopt;
  }

 private:
  PresentRanges ranges_;
  std::uint64_t page_size_;
  std::uint64_t end_ = 0;
};

/// Writes a bitmap from its beginning, block by block; blocks of zeros become holes.
class BitmapWriter {
 public:
  BitmapWriter(Sink& sink, std::uint64_t block_size)
      : sink_(sink), block_(static_cast<std::size_t>(block_size)) {}

  /// The next run, behind all that were set before. Errors: those of the sink.
  Result<void> set(PageRun run);
  /// Up to the end of a bitmap of so many blocks. Errors: those of the sink.
  Result<void> finish(std::uint64_t blocks) { return go_to(blocks); }

 private:
  Result<void> go_to(std::uint64_t index);

  Sink& sink_;
  std::vector<std::byte> block_;
  std::uint64_t index_ = 0;
  bool is_used_ = false;
};

}  // namespace engram::image
