// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a kdump is written of: pages that are packed.

#include <cstdint>
#include <vector>

#include "image/page_packer.h"
#include "image/page_runs.h"
#include "image/write_ranges.h"

namespace engram::image {

/// Pages, packed one by one.
struct PackedPages {
  struct Page {
    std::uint32_t size = 0;  // 0: it is all zeros
    bool is_packed = false;
  };
  std::vector<Page> pages;
  std::vector<std::byte> bytes;
  std::uint64_t filled = 0;  ///< bytes that are absent and have become zeros
};

struct Packing {
  const guest::Memory& memory;
  Codec codec;
  std::uint64_t page_size;
};

/// Reads and packs pages by their numbers. Errors: no such codec; a byte cannot be read.
[[nodiscard]] Result<PackedPages> pack_pages(const Packing& packing,
                                             const std::vector<std::uint64_t>& numbers);

}  // namespace engram::image
