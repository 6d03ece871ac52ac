// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a dirty tracker is: something that is told which bytes were written. A view of memory
// carries one as a value; which one is chosen at compile time, and none costs nothing.
//
// Bytes are written first and marked then, by a sequentially consistent operation. A harvester that
// clears a mark and then copies the page therefore sees either the bytes or the mark again.

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace engram::mapping {

/// Marks of a range that begins at the tracker's own base. Out-of-range marks are dropped, a range
/// that runs past the end is cut.
template <class D>
concept DirtyTracker = std::copyable<D> &&
    requires(const D& tracker, std::uint64_t offset, std::uint64_t size) {
  { tracker.mark_dirty(offset, size) } -> std::same_as<void>;
  { tracker.dirty_at(offset) } -> std::same_as<bool>;
  /// The same tracker with its base `offset` further on.
  { tracker.slice_at(offset) } -> std::same_as<D>;
};

/// Tracks nothing; nothing is dirty.
struct NoTracker {
  static constexpr void mark_dirty(std::uint64_t /*offset*/, std::uint64_t /*size*/) {}
  [[nodiscard]] static constexpr bool dirty_at(std::uint64_t /*offset*/) { return false; }
  [[nodiscard]] static constexpr NoTracker slice_at(std::uint64_t /*offset*/) { return {}; }
};
static_assert(DirtyTracker<NoTracker>);

/// A tracker that may be there or not, decided at run time.
template <DirtyTracker D>
class OptionalTracker {
 public:
  OptionalTracker() = default;
  explicit OptionalTracker(D tracker) : tracker_(std::move(tracker)) {}

  void mark_dirty(std::uint64_t offset, std::uint64_t size) const {
    if (tracker_) tracker_->mark_dirty(offset, size);
  }
  [[nodiscard]] bool dirty_at(std::uint64_t offset) const {
    return tracker_ && tracker_->dirty_at(offset);
  }
  [[nodiscard]] OptionalTracker slice_at(std::uint64_t offset) const {
    return tracker_ ? OptionalTracker(tracker_->slice_at(offset)) : OptionalTracker();
  }

 private:
  std::optional<D> tracker_;
};
static_assert(DirtyTracker<OptionalTracker<NoTracker>>);

}  // namespace engram::mapping
