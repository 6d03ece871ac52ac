// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A region of guest memory that is read from and written to a file by system calls: nothing is
// mapped, no fault is possible, and the file may lie at any offset.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "guest/mapped_region.h"
#include "guest/region.h"
#include "guest/tracker.h"

namespace engram::guest {

namespace detail {
/// The parts of StreamRegion that do not depend on its tracker: `file` from its offset on, of which
/// the region has `available` bytes of `size`.
[[nodiscard]] Transfer read_file(const FileRef& file, std::uint64_t available, std::uint64_t size,
                                 RegionOffset at, MutableBytes to);
[[nodiscard]] Transfer write_file(const FileRef& file, std::uint64_t available, std::uint64_t size,
                                  RegionOffset at, Bytes from);
}  // namespace detail

/// A WritableRegion without host memory. Bytes that the file did not have when the region was made
/// are source_truncated, and are not written either.
template <DirtyTracker D = NoTracker>
class StreamRegion {
 public:
  using Tracker = D;

  /// Errors: os (EBADF).
  static MemoryResult<StreamRegion> make(Range range, FileRef file, RegionKind kind = {}) {
    ENGRAM_TRY(const std::uint64_t available, detail::available_bytes(file, range.size()));
    auto state = std::make_shared<State>(State{{}, available, make_tracker<D>(range.size())});
    state->attributes.kind = kind;
    state->attributes.faults = FaultPolicy::syscall;
    state->attributes.backing = std::move(file);
    return StreamRegion(range, std::move(state));
  }

  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] const Attributes& attributes() const { return state_->attributes; }
  [[nodiscard]] const D& dirty() const { return state_->dirty.tracker; }

  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const {
    return detail::read_file(file(), state_->available, range_.size(), at, to);
  }
  Transfer write(RegionOffset at, Bytes from) const {
    const Transfer moved = detail::write_file(file(), state_->available, range_.size(), at, from);
    // A write that failed may have stored more than it says.
    const std::size_t touched = moved.stop == MemoryErrc::os ? from.size() : moved.count;
    if (touched != 0) dirty().mark_dirty(at.value, touched);
    return moved;
  }
  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t size) const {
    ENGRAM_CHECK(check_in_region(at, size, range_.size()));
    return fail_memory(MemoryErrc::host_address_unavailable, at.value);
  }
  [[nodiscard]] MemoryResult<VolatileSlice<D>> mutable_view(RegionOffset at,
                                                            std::uint64_t size) const {
    ENGRAM_CHECK(check_in_region(at, size, range_.size()));
    return fail_memory(MemoryErrc::host_address_unavailable, at.value);
  }

 private:
  struct State {
    Attributes attributes;
    std::uint64_t available;
    OwnedTracker<D> dirty;
  };
  StreamRegion(Range range, std::shared_ptr<const State> state)
      : range_(range), state_(std::move(state)) {}
  [[nodiscard]] const FileRef& file() const { return *state_->attributes.backing; }

  Range range_;
  std::shared_ptr<const State> state_;
};
static_assert(WritableRegion<StreamRegion<>>);

}  // namespace engram::guest
