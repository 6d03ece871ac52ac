// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The RAM of a virtual machine: memories made from lists of ranges.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "guest/mapped_region.h"
#include "guest/region_collection.h"
#include "mapping/shared_memory.h"

namespace engram::guest {

template <DirtyTracker D = NoTracker>
using MappedMemory = RegionCollection<MappedRegion<D>>;

/// A range of guest memory and the file that its bytes are in.
struct FileRange {
  Range range;
  FileRef file;
};

namespace detail {
/// Errors: not_page_aligned{size} of a range; too_big if they are more than a file can have.
[[nodiscard]] MemoryResult<std::uint64_t> shared_ram_size(const std::vector<Range>& ranges);
}  // namespace detail

/// Private memory of zeros at each of the ranges, which may come in any order. Errors: no_region;
/// overlap; those of MappedRegion::anonymous().
template <DirtyTracker D = NoTracker>
[[nodiscard]] MemoryResult<MappedMemory<D>> anonymous_memory(const std::vector<Range>& ranges,
                                                             const RegionOptions& options = {}) {
  std::vector<MappedRegion<D>> regions;
  for (const Range range : ranges) {
    ENGRAM_TRY(auto region, MappedRegion<D>::anonymous(range, options));
    regions.push_back(std::move(region));
  }
  return MappedMemory<D>::from_unsorted(std::move(regions));
}

/// The bytes of files. Errors: no_region; overlap; those of MappedRegion::from_file().
template <DirtyTracker D = NoTracker>
[[nodiscard]] MemoryResult<MappedMemory<D>> file_memory(const std::vector<FileRange>& ranges,
                                                        const RegionOptions& options = {}) {
  std::vector<MappedRegion<D>> regions;
  for (const FileRange& part : ranges) {
    ENGRAM_TRY(auto region, MappedRegion<D>::from_file(part.range, part.file, options));
    regions.push_back(std::move(region));
  }
  return MappedMemory<D>::from_unsorted(std::move(regions));
}

/// Memory that can be handed to other processes (vhost-user, udmabuf): one memory file for all
/// ranges, one behind the other, which nobody can make shorter or longer. backing() says where in
/// it an address lies. Errors: no_region; overlap; not_page_aligned{size}; those of
/// SharedMemory::create() and MappedRegion::from_file().
template <DirtyTracker D = NoTracker>
[[nodiscard]] MemoryResult<MappedMemory<D>> shared_memory(const std::vector<Range>& ranges,
                                                          const std::string& name,
                                                          const RegionOptions& options = {}) {
  using mapping::Seals;
  ENGRAM_TRY(const std::uint64_t size, detail::shared_ram_size(ranges));
  ENGRAM_TRY(const auto file,
             mapping::SharedMemory::create(
                 name, size, {Seals::shrink | Seals::grow | Seals::seal, options.page}));
  std::vector<FileRange> parts;
  std::uint64_t offset = 0;
  for (const Range range : ranges) {
    parts.push_back({range, {file.file(), FileOffset(offset)}});
    offset += range.size();
  }
  RegionOptions region_options = options;
  region_options.page.reset();  // the file's pages are what they are
  return file_memory<D>(parts, region_options);
}

}  // namespace engram::guest
