// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/lime_layout.h"
#include "image/write_ranges.h"

namespace engram::image {

Result<Written> write_lime(const guest::Memory& memory, Sink& sink, const WriteOptions& options) {
  ENGRAM_TRY(const Survey found, survey(memory, options));
  PresentRanges ranges(found.memory);
  RangeCopier copier(found, sink, options);
  while (const auto range = ranges.next()) {
    const lime::RangeHeader header{
        lime::kMagic, lime::kVersion, range->start.value, range->last().value, {}};
    ENGRAM_CHECK(sink.write(std::as_bytes(std::span(&header, 1))));
    ENGRAM_CHECK(copier.copy(*range));
  }
  return found.all;
}

}  // namespace engram::image
