// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/mapped_region.h"

namespace engram::guest::detail {

mapping::MapRequest map_request(std::uint64_t size, const RegionOptions& options) {
  mapping::Options request(size);
  if (!options.reserve) request.no_reserve();
  if (options.guard_pages) request.guard_pages();
  if (options.populate) request.populate();
  if (options.page) request.page(*options.page);
  if (options.hugetlb) request.hugetlbfs(*options.hugetlb);
  if (options.lock) request.lock(*options.lock);
  if (options.huge_pages) request.thp(*options.huge_pages);
  if (!options.core_dump) request.no_core_dump();
  if (options.dont_fork) request.dont_fork();
  if (options.mergeable) request.mergeable();
  return request.request();
}

MemoryResult<std::uint64_t> available_bytes(const FileRef& file, std::uint64_t size) {
  ENGRAM_TRY(const std::uint64_t total, file.file.size());
  const std::uint64_t behind = file.offset.value < total ? total - file.offset.value : 0;
  return std::min(size, behind);
}

Attributes attributes_of(const mapping::HostRange& range, const RegionOptions& options) {
  Attributes attributes;
  attributes.kind = options.kind;
  attributes.label = options.label;
  attributes.page_size = range.page_size();
  attributes.hugetlb = options.hugetlb ? options.hugetlb : range.hugetlbfs();
  // What is written privately is not in the file.
  const bool is_file = range.share() == mapping::Share::shared ||
                       !mapping::allows(range.prot(), mapping::Prot::write);
  if (const FileRef* const file = range.backing(); file != nullptr && is_file) {
    attributes.backing = *file;
  }
  // A pool of huge pages can be empty when a page is first touched.
  const bool lasts = range.cannot_be_truncated() && range.page_size() == kPageSize;
  attributes.faults = options.faults.value_or(lasts ? FaultPolicy::trusted : FaultPolicy::guarded);
  return attributes;
}

}  // namespace engram::guest::detail
