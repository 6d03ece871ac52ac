// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a region of guest memory is: a range of physical addresses and what stands behind it. A
// region is a value: a handle that is cheap to copy and shares what it points at.
//
// Offsets are relative to the region, in errors too.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "base/bytes.h"
#include "base/units.h"
#include "guest/range.h"
#include "mapping/dirty.h"
#include "mapping/file.h"
#include "mapping/volatile_slice.h"

namespace engram::guest {

using mapping::ConstVolatileSlice;
using mapping::DirtyTracker;
using mapping::FileRef;
using mapping::NoTracker;
using mapping::VolatileSlice;

enum class RegionKind : std::uint8_t { ram, rom, mmio, reserved, pmem };

/// How many bytes at a time are copied. Views are guarded whatever it says.
enum class FaultPolicy : std::uint8_t {
  guarded,  ///< by guarded instructions: a fault is a short count
  trusted,  ///< by memcpy: nobody can take the bytes away (anonymous memory, sealed files)
  syscall,  ///< by system calls, for programs whose signals belong to somebody else
};

/// What is known about a region beyond its bytes.
struct Attributes {
  RegionKind kind = RegionKind::ram;
  FaultPolicy faults = FaultPolicy::guarded;
  std::optional<bool> hugetlb = {};  ///< whether its pages come from a hugetlb pool, if known
  std::uint64_t page_size = kPageSize;
  /// The file that has the region's bytes, and where in it the region begins.
  std::optional<FileRef> backing = {};
  std::string label = {};  ///< for people
};

template <class R>
concept ReadableRegion = std::copyable<R> &&
    requires(const R& region, RegionOffset at, std::uint64_t size, MutableBytes to) {
  { region.range() } -> std::same_as<Range>;
  { region.attributes() } -> std::convertible_to<const Attributes&>;
  /// Stops: out_of_bounds behind the last byte; source_truncated, not_present, os.
  { region.read(at, to) } -> std::same_as<Transfer>;
  /// Errors: invalid_backend_address{at} if it runs past the region; host_address_unavailable{at};
  /// source_truncated{the first byte that is not there}.
  { region.view(at, size) } -> std::same_as<MemoryResult<ConstVolatileSlice>>;
};

/// Writes mark the tracker when the bytes are written.
template <class R>
concept WritableRegion = ReadableRegion<R> && DirtyTracker<typename R::Tracker> &&
    requires(const R& region, RegionOffset at, std::uint64_t size, Bytes from) {
  { region.write(at, from) } -> std::same_as<Transfer>;
  {
    region.mutable_view(at, size)
    } -> std::same_as<MemoryResult<VolatileSlice<typename R::Tracker>>>;
  { region.dirty() } -> std::convertible_to<const typename R::Tracker&>;
};

namespace detail {
template <class R>
struct TrackerOf {
  using type = NoTracker;
};
template <WritableRegion R>
struct TrackerOf<R> {
  using type = typename R::Tracker;
};
}  // namespace detail

/// Whether writes to the region may succeed; regions that decide it at run time have can_write().
template <ReadableRegion R>
[[nodiscard]] bool allows_write(const R& region) {
  if constexpr (requires { region.can_write(); }) {
    return region.can_write();
  } else {
    return WritableRegion<R>;
  }
}

/// The tracker of a region; NoTracker of one that cannot be written.
template <ReadableRegion R>
using TrackerOf = typename detail::TrackerOf<R>::type;

/// Whether [at, at + size) lies in a region of `region_size` bytes; what view() checks first.
[[nodiscard]] constexpr MemoryResult<void> check_in_region(RegionOffset at, std::uint64_t size,
                                                           std::uint64_t region_size) {
  if (at.value > region_size || size > region_size - at.value) {
    return fail_memory(MemoryErrc::invalid_backend_address, at.value, size);
  }
  return {};
}

}  // namespace engram::guest
