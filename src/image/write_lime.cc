// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/lime_layout.h"
#include "image/write_ranges.h"

namespace engram::image {

Result<Written> write_lime(const guest::Memory& memory, Sink& sink) {
  ENGRAM_TRY(const Written all, survey(memory));
  PresentRanges ranges(memory);
  RangeCopier copier(memory, sink);
  while (const auto range = ranges.next()) {
    const lime::RangeHeader header{lime::kMagic,
                                   lime::kVersion,
                                   range->start.value,
                                   range->start.value + (range->size - 1),
                                   {}};
    ENGRAM_CHECK(sink.write(std::as_bytes(std::span(&header, 1))));
    ENGRAM_CHECK(copier.copy(*range));
  }
  return all;
}

}  // namespace engram::image
