// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A range of virtual memory, copied byte by byte to where it belongs, and what of it there was.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "image/sink.h"
#include "paging/address_space.h"

namespace engram::cli {

enum class PartKind : std::uint8_t {
  copied,
  unmapped,     ///< an entry of the page tables is empty
  not_present,  ///< an entry is not, but not present either: swapped out, or nobody may access it
  damaged,      ///< an entry has reserved bits set
  not_an_address,
  table_absent,  ///< a page table is not in the image, or not readable
  page_absent,   ///< the page is not in the image, or not readable
};
/// "copied", "not mapped" ...
[[nodiscard]] const char* to_string(PartKind kind);

/// A run of addresses of one kind; neighbours differ.
struct CarvedPart {
  VirtAddr start;
  std::uint64_t size = 0;  ///< bytes
  PartKind kind = PartKind::copied;

  bool operator==(const CarvedPart&) const = default;
};

struct Carved {
  std::vector<CarvedPart> parts;    ///< in the order of addresses; the first kMostParts
  std::uint64_t further_parts = 0;  ///< how many more there are
  std::uint64_t copied = 0;         ///< bytes

  static constexpr std::size_t kMostParts = 100'000;
};

/// Writes exactly `size` bytes: what is at `start` and behind it, and zeros for what is not there.
/// `start + size` must not exceed 2^64 - 1. Nothing if `is_interrupted` says so in between.
/// Errors: those of the sink.
Result<std::optional<Carved>> carve(const paging::AddressSpace& space, VirtAddr start,
                                    std::uint64_t size, image::Sink& sink,
                                    const std::function<bool()>& is_interrupted);

}  // namespace engram::cli
