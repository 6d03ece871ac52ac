// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
//
// compare_images FIRST SECOND...: the physical memory of two images, page by page, through engram's
// library. SECOND may be several files of one split dump. Prints one line of JSON.

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <optional>
#include <set>

#include "image/image.h"

namespace {

using namespace engram;
using Page = std::array<std::byte, kPageSize>;

struct Counts {
  std::uint64_t same = 0, different = 0, first_only = 0, second_only = 0;
};

/// Whether all of the page is there.
bool read_page(const guest::Memory& memory, std::uint64_t number, Page& to) {
  return memory.read(PhysAddr(number * kPageSize), to).complete();
}

void add_pages(const guest::Memory& memory, std::set<std::uint64_t>& numbers) {
  for (const guest::Region& region : memory.regions()) {
    for (std::uint64_t at = region.start.value / kPageSize; at <= region.last().value / kPageSize;
         ++at) {
      numbers.insert(numbers.end(), at);
    }
  }
}

Counts compare(const guest::Memory& first, const guest::Memory& second) {
  std::set<std::uint64_t> numbers;
  add_pages(first, numbers);
  add_pages(second, numbers);
  Counts counts;
  Page one, other;
  for (const std::uint64_t number : numbers) {
    const bool in_first = read_page(first, number, one);
    const bool in_second = read_page(second, number, other);
    if (in_first && in_second) ++(one == other ? counts.same : counts.different);
    if (in_first && !in_second) ++counts.first_only;
    if (!in_first && in_second) ++counts.second_only;
  }
  return counts;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 2;
  const auto first = image::Image::open(arguments[1]);
  image::OpenOptions options;
  for (int i = 3; i < count; ++i) options.parts.emplace_back(arguments[i]);
  const auto second = image::Image::open(arguments[2], options);
  if (!first || !second) {
    fmt::print(stderr, "{}\n", (first ? second : first).error().text);
    return 1;
  }
  const Counts counts = compare(first->memory(), second->memory());
  fmt::print("{{\"same\": {}, \"different\": {}, \"first_only\": {}, \"second_only\": {}}}\n",
             counts.same, counts.different, counts.first_only, counts.second_only);
  return 0;
}
