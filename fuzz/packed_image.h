// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the harnesses of compressed images check: whatever a reader says to have can be asked for,
// and is all there, or stops with a reason.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "image/contents.h"

namespace engram::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

/// The input as a file that begins with `signature`.
inline std::vector<std::byte> with_signature(const std::uint8_t* data, std::size_t size,
                                             std::string_view signature) {
  const auto bytes = std::as_bytes(std::span(data, size));
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  std::memcpy(file.data(), signature.data(), std::min(file.size(), signature.size()));
  return file;
}

inline void check_read(const guest::Region& region, std::uint64_t offset) {
  std::array<std::byte, kPageSize + 100> bytes;
  std::array<std::byte, kPageSize + 100> again;
  const auto count = std::min<std::uint64_t>(bytes.size(), region.size - offset);
  const auto to = std::span(bytes).first(static_cast<std::size_t>(count));
  const auto got = region.read(RegionOffset(offset), to);
  require(got.count <= to.size() && got.complete() == (got.count == to.size()));
  require(got.complete() || got.stop == guest::MemoryErrc::source_truncated ||
          got.stop == guest::MemoryErrc::not_present);
  const auto second = region.read(RegionOffset(offset), std::span(again).first(to.size()));
  require(second.count == got.count);
  require(std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(got.count),
                     again.begin()));
}

inline void check_contents(const image::Contents& contents) {
  constexpr std::uint64_t kMostReads = 64;  // of a region
  for (const image::Range& range : contents.ranges) {
    require(range.size > 0 && range.stored <= range.size && range.readable <= range.stored);
    require(range.start.value + (range.size - 1) >= range.start.value);
  }
  for (const guest::Region& region : contents.regions) {
    require(region.size > 0 && region.last() >= region.start);
    if (region.backing != guest::Backing::source) continue;
    const std::uint64_t step = std::max(region.size / kMostReads, std::uint64_t{1000});
    for (std::uint64_t at = 0; at < region.size; at += step) check_read(region, at);
    check_read(region, region.size - 1);
  }
  if (contents.problems == nullptr) return;
  for (const image::PageProblem& problem : contents.problems->list()) {
    require(!problem.text.empty());
  }
}

}  // namespace engram::fuzz
