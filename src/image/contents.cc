// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/contents.h"

#include <fmt/core.h>

#include <algorithm>

namespace engram::image {

void add_range(Contents& contents, const FileView& file, Range range) {
  range.readable = file.available(range.offset, range.stored);
  contents.ranges.push_back(range);
  if (range.readable > 0) {
    contents.regions.push_back(file.region(range.start, range.readable, range.offset));
  }
  if (range.readable < range.stored) {
    contents.regions.push_back({range.start + range.readable, range.stored - range.readable,
                                guest::Backing::unreadable, nullptr});
  }
}

void set_source(Contents& contents, std::shared_ptr<const guest::PhysicalSource> memory,
                std::shared_ptr<const PageProblems> problems) {
  for (guest::Region& region : contents.regions) {
    if (region.backing != guest::Backing::source) continue;
    region = guest::Region::from_source(region.start, region.size, *memory);
  }
  contents.owner = std::move(memory);
  contents.problems = std::move(problems);
}

std::string printable(Bytes text) {
  std::string shown(text_until_nul(text));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < 0x20 || c == 0x7F; }, '?');
  return shown;
}

void Tally::report(Contents& contents, Level level) const {
  if (count_ == 0) return;
  std::string text = first_;
  if (count_ > 1) text += fmt::format(" ({} more like this)", count_ - 1);
  contents.notices.push_back({level, std::move(text)});
}

}  // namespace engram::image
