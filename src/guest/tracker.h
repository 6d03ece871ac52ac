// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Dirty trackers that come with the marks they point at.

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "guest/region.h"
#include "mapping/atomic_bitmap.h"

namespace engram::guest {

using mapping::AtomicBitmap;
using mapping::BitmapSlice;

/// A tracker, and what keeps its marks alive.
template <DirtyTracker D>
struct OwnedTracker {
  D tracker;
  std::shared_ptr<void> owner = {};
};

/// A clean tracker for so many bytes: with a bitmap of its own where D points at an AtomicBitmap,
/// and D() otherwise.
template <DirtyTracker D>
[[nodiscard]] OwnedTracker<D> make_tracker(std::uint64_t bytes) {
  if constexpr (std::is_same_v<D, BitmapSlice>) {
    auto bitmap = std::make_shared<AtomicBitmap>(bytes);
    return {bitmap->slice_at(0), bitmap};
  } else if constexpr (std::is_same_v<D, mapping::SharedBitmapSlice>) {
    return {D(std::make_shared<AtomicBitmap>(bytes))};
  } else if constexpr (std::is_same_v<D, mapping::OptionalTracker<BitmapSlice>>) {
    auto bitmap = std::make_shared<AtomicBitmap>(bytes);
    return {D(bitmap->slice_at(0)), bitmap};
  } else {
    static_assert(std::is_default_constructible_v<D>, "pass a tracker to the region's maker");
    return {D()};
  }
}

}  // namespace engram::guest
