// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Guest memory as a dma-buf, for graphics and other devices: pages of memory files, shared without
// a copy.
//
// In:     a memory whose regions are mapped from memory files, and a list of its parts.
// Out:    where the parts lie in their files; a descriptor of a dma-buf of these pages in this
//         order.
// Errors: MemoryError; addresses are the guest's.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "guest/region.h"
#include "mapping/file.h"

namespace engram::guest {

/// A part of guest memory.
struct GuestExtent {
  PhysAddr start;
  std::uint64_t size = 0;  ///< bytes
};

/// A part of a file.
struct FilePart {
  mapping::File file;
  mapping::FileExtent extent;
};

/// Where a part of memory lies in the file behind its region. Errors: invalid_size of none;
/// range_overflow; invalid_guest_address; invalid_backend_address if it runs past its region;
/// unsupported if there is no file behind it.
template <class M>
[[nodiscard]] MemoryResult<FilePart> file_part_of(const M& memory, GuestExtent part) {
  ENGRAM_TRY(const Range range, Range::make(part.start, part.size));
  const auto* const region = memory.find(range.first());
  if (region == nullptr) return fail_memory(MemoryErrc::invalid_guest_address, part.start.value);
  const std::uint64_t offset = range.first() - region->range().first();
  if (!region->range().contains(range)) {
    return fail_memory(MemoryErrc::invalid_backend_address, part.start.value, part.size);
  }
  const auto& backing = region->attributes().backing;
  if (!backing) return fail_memory(MemoryErrc::unsupported, part.start.value);
  return FilePart{backing->file, {backing->offset + offset, part.size}};
}

/// The same for a list of whole pages; parts may overlap. Errors: also invalid_size of an empty
/// list; not_page_aligned{the start, or the end}.
template <class M>
[[nodiscard]] MemoryResult<std::vector<FilePart>> udmabuf_parts(
    const M& memory, std::span<const GuestExtent> parts) {
  if (parts.empty()) return fail_memory(MemoryErrc::invalid_size);
  std::vector<FilePart> found;
  for (const GuestExtent& part : parts) {
    for (const PhysAddr edge : {part.start, part.start + part.size}) {
      if (edge.value % kPageSize == 0) continue;
      return fail_memory(MemoryErrc::not_page_aligned, edge.value, kPageSize);
    }
    ENGRAM_TRY(FilePart one, file_part_of(memory, part));
    found.push_back(std::move(one));
  }
  return found;
}

/// A dma-buf of the parts, one behind the other, from the kernel's udmabuf driver. The files are
/// memory files sealed against shrinking and not against writing (os EINVAL else). Errors: too_big;
/// os: ENOENT or EACCES without the driver; EINVAL for more parts or bytes than its limits.
[[nodiscard]] MemoryResult<mapping::File> create_udmabuf(
    std::span<const FilePart> parts, const std::string& device = "/dev/udmabuf");

}  // namespace engram::guest
