// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/write_ranges.h"

namespace engram::image {
namespace {

/// Errors: the file would be too long for any tool, and most file systems.
Result<void> check_addresses(const guest::Memory& memory) {
  PresentRanges ranges(memory);
  while (const auto range = ranges.next()) {
    if (range->last().value < kMostBytes) continue;
    return fail(
        "raw: the range [{:#x}, {:#x}] would lie at these offsets of the file, less than {:#x} is "
        "expected: a format with ranges (lime, elf) can have it",
        range->start.value, range->last().value, kMostBytes);
  }
  return {};
}

}  // namespace

Result<Written> write_raw(const guest::Memory& memory, Sink& sink, const WriteOptions& options) {
  ENGRAM_TRY(Survey found, survey(memory, options));
  ENGRAM_CHECK(check_addresses(found.memory));
  PresentRanges ranges(found.memory);
  RangeCopier copier(found, sink, options);
  PhysAddr at;
  while (const auto range = ranges.next()) {
    found.all.filled += range->start - at;
    ENGRAM_CHECK(sink.zeros(range->start - at));
    ENGRAM_CHECK(copier.copy(*range));
    at = range->start + range->size;
  }
  return found.all;
}

}  // namespace engram::image
