// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A window of address space into which mappings are placed and from which they are removed, while
// its address stays the same: what a device's memory window is made of.

#include <cstdint>
#include <utility>
#include <vector>

#include "mapping/typed_mapping.h"

namespace engram::mapping {

/// Owns the window and everything in it; one unmap at the end. Offsets are relative to the window.
/// At no moment is any of it free for other mappings of the process. Not for several threads at
/// once, but for const members.
class Arena {
 public:
  /// What a read finds where nothing is placed.
  enum class Empty : std::uint8_t { fault, zeros };
  struct Setup {
    Empty empty = Empty::fault;
    std::uint64_t alignment = 0;  ///< of the window, a power of two; 0: a page
    bool guard_pages = false;     ///< inaccessible, in front of the window and behind it
  };

  /// Errors: invalid_size; invalid_alignment; os (ENOMEM).
  static MemoryResult<Arena> create(std::uint64_t size, Setup setup);
  static MemoryResult<Arena> create(std::uint64_t size) { return create(size, Setup()); }

  /// Bytes, as asked for.
  [[nodiscard]] std::uint64_t size() const { return window_.size(); }
  [[nodiscard]] NativeRange native_range() const { return window_.native_range(); }

  /// Puts a mapping at `offset`, in place of what is there. The view of it is good until the pages
  /// are placed over, removed, or the arena ends. Errors: not_page_aligned{offset}; out_of_bounds
  /// and range_overflow; unsupported if the options ask for an address or for guard pages; all of
  /// Options::map(). Nothing has changed then.
  template <AnyAccess A, bool jit>
  requires AllowedAccess<A, jit>
  [[nodiscard]] MemoryResult<SliceOf<A>> place(std::uint64_t offset,
                                               const BasicOptions<jit>& options) {
    const std::uint64_t size = options.request().size;
    ENGRAM_CHECK(place_any(offset, options.request(), A::kProt));
    return SliceOf<A>(at(offset), Readable<A> ? static_cast<std::size_t>(size) : 0);
  }
  /// The same with a protection that is decided at run time.
  [[nodiscard]] MemoryResult<void> place_any(std::uint64_t offset, const MapRequest& request,
                                             Prot prot);
  /// Empties the pages that [offset, offset + size) touches; `offset` is the start of one. Errors:
  /// not_page_aligned; out_of_bounds; os (EINVAL: a part of a huge page).
  [[nodiscard]] MemoryResult<void> remove(Extent extent);

  /// Views across whatever is placed there. Errors: access_refused{the first offset that is not
  /// readable, or writable}.
  [[nodiscard]] MemoryResult<ConstVolatileSlice> slice(Extent extent) const;
  [[nodiscard]] MemoryResult<VolatileSlice<>> mutable_slice(Extent extent) const;

  // As HostRange's.
  [[nodiscard]] MemoryResult<void> flush(Extent extent, Flush mode = Flush::sync) const {
    return window_.flush(extent, mode);
  }
  [[nodiscard]] MemoryResult<void> advise(Extent extent, Advice advice) const {
    return window_.advise(extent, advice);
  }

 private:
  struct Part {
    Extent extent;
    Prot prot = Prot::none;
  };

  explicit Arena(HostRange window) : window_(std::move(window)) {}
  [[nodiscard]] std::byte* at(std::uint64_t offset) const { return window_.data() + offset; }
  [[nodiscard]] MemoryResult<void> check_access(Extent extent, Prot wanted) const;
  void forget(Extent pages);

  HostRange window_;
  std::vector<Part> parts_;  // disjoint, in order, in whole pages
};
static_assert(HostMapped<Arena>);

}  // namespace engram::mapping
