// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the writers of dumps share: the ranges of a memory, and their bytes.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/memory.h"
#include "image/write.h"

namespace engram::image {

/// Bytes of physical memory without a gap.
struct PresentRange {
  PhysAddr start;
  std::uint64_t size = 0;
};

/// The readable ranges of a memory in address order: neighbouring regions are one range.
class PresentRanges {
 public:
  explicit PresentRanges(const guest::Memory& memory) : regions_(memory.regions()) {}

  /// Nothing at the end.
  [[nodiscard]] std::optional<PresentRange> next();

 private:
  std::span<const guest::Region> regions_;  // those that are left
};

/// Counts what a writer is going to write. Errors: nothing is readable; more than 2^64 - 1 bytes.
[[nodiscard]] Result<Written> survey(const guest::Memory& memory);

/// Copies ranges from a memory to a sink, through one chunk of host memory.
class RangeCopier {
 public:
  RangeCopier(const guest::Memory& memory, Sink& sink);

  /// Errors: those of the sink; a byte cannot be read.
  Result<void> copy(PresentRange range);

 private:
  Result<void> copy_part(const guest::Region& region, PhysAddr from, std::uint64_t size);

  const guest::Memory& memory_;
  Sink& sink_;
  std::vector<std::byte> chunk_;
};

}  // namespace engram::image
