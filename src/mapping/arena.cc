// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace engram::mapping {

MemoryResult<Arena> Arena::create(std::uint64_t size, Setup setup) {
  MapRequest request;
  request.size = size;
  request.no_reserve = true;
  request.guard_pages = setup.guard_pages;
  if (setup.alignment != 0) request.placement = Aligned{setup.alignment};
  const Prot prot = setup.empty == Empty::zeros ? Prot::read : Prot::none;
  ENGRAM_TRY(HostRange window, HostRange::map(request, prot, /*reserved=*/false));
  return Arena(std::move(window));
}

MemoryResult<void> Arena::place_any(std::uint64_t offset, const MapRequest& request, Prot prot) {
  if (window_.empty()) return fail_memory(MemoryErrc::empty);
  if (!std::holds_alternative<Anywhere>(request.placement) || request.guard_pages) {
    return fail_memory(MemoryErrc::unsupported);
  }
  if (offset % window_.page_size() != 0) {
    return fail_memory(MemoryErrc::not_page_aligned, offset, window_.page_size());
  }
  ENGRAM_CHECK(window_.check({offset, request.size}));
  // Made aside and moved to its place whole: a failure leaves what was there, and no other thread
  // can map something in between.
  ENGRAM_TRY(HostRange part, HostRange::map(request, prot, /*reserved=*/false));
  const Extent pages{offset, part.mapped_size()};
  if (reinterpret_cast<std::uintptr_t>(at(offset)) % part.page_size() != 0) {
    return fail_memory(MemoryErrc::not_page_aligned, offset, part.page_size());
  }
  ENGRAM_CHECK(pages.check(window_.mapped_size()));
  ENGRAM_CHECK(part.move_onto(at(offset)));
  static_cast<void>(part.release_range());
  forget(pages);
  const auto behind = std::find_if(parts_.begin(), parts_.end(), [&](const Part& other) {
    return other.extent.offset > pages.offset;
  });
  parts_.insert(behind, Part{pages, prot});
  return {};
}

MemoryResult<void> Arena::remove(Extent extent) {
  ENGRAM_CHECK(window_.check(extent));
  if (extent.offset % window_.page_size() != 0) {
    return fail_memory(MemoryErrc::not_page_aligned, extent.offset, window_.page_size());
  }
  if (extent.size == 0) return {};
  const Extent pages = extent.rounded_out(window_.page_size());
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (::mmap(at(pages.offset), pages.size, detail::native_prot(window_.prot()), flags, -1, 0) ==
      MAP_FAILED) {
    return fail_os(errno, pages.offset);
  }
  forget(pages);
  return {};
}

/// Cuts `pages` out of the parts.
void Arena::forget(Extent pages) {
  std::vector<Part> left;
  for (const Part& part : parts_) {
    const Extent& have = part.extent;
    if (have.end() <= pages.offset || pages.end() <= have.offset) {
      left.push_back(part);
      continue;
    }
    if (have.offset < pages.offset) {
      left.push_back({{have.offset, pages.offset - have.offset}, part.prot});
    }
    if (pages.end() < have.end()) {
      left.push_back({{pages.end(), have.end() - pages.end()}, part.prot});
    }
  }
  parts_ = std::move(left);
}

MemoryResult<void> Arena::check_access(Extent extent, Prot wanted) const {
  ENGRAM_CHECK(window_.check(extent));
  std::uint64_t good = extent.offset;  // what lies below is allowed
  if (allows(window_.prot(), wanted)) {
    // Gaps are as good as parts: only a part can refuse.
    for (const Part& part : parts_) {
      const bool touches = part.extent.offset < extent.end() && extent.offset < part.extent.end();
      if (touches && !allows(part.prot, wanted)) {
        return fail_memory(MemoryErrc::access_refused, std::max(part.extent.offset, extent.offset));
      }
    }
    return {};
  }
  for (const Part& part : parts_) {
    if (part.extent.offset > good || !allows(part.prot, wanted)) continue;
    good = std::max(good, part.extent.end());
  }
  if (good < extent.end()) return fail_memory(MemoryErrc::access_refused, good);
  return {};
}

MemoryResult<ConstVolatileSlice> Arena::slice(Extent extent) const {
  ENGRAM_CHECK(check_access(extent, Prot::read));
  return ConstVolatileSlice(at(extent.offset), static_cast<std::size_t>(extent.size));
}

MemoryResult<VolatileSlice<>> Arena::mutable_slice(Extent extent) const {
  ENGRAM_CHECK(check_access(extent, Prot::read | Prot::write));
  return VolatileSlice<>(at(extent.offset), static_cast<std::size_t>(extent.size));
}

}  // namespace engram::mapping
