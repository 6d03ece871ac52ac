// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// One type for regions of several kinds, for memories that mix them.

#include <cstdint>
#include <utility>
#include <variant>

#include "guest/decoded_region.h"
#include "guest/mapped_region.h"
#include "guest/region.h"
#include "guest/stream_region.h"

namespace engram::guest {

/// A WritableRegion that is one of `Rs`. Those of them that can be written have the tracker D; the
/// others refuse writes at run time (access_refused).
template <DirtyTracker D, ReadableRegion... Rs>
class RegionVariant {
 public:
  using Tracker = D;

  template <class R>
  requires(std::is_same_v<R, Rs> || ...) RegionVariant(R region)
      : region_(std::move(region)) {}  // NOLINT(google-explicit-constructor)

  /// The region, or null if it is of another type.
  template <class R>
  [[nodiscard]] const R* get_if() const {
    return std::get_if<R>(&region_);
  }

  [[nodiscard]] Range range() const {
    return std::visit([](const auto& region) { return region.range(); }, region_);
  }
  [[nodiscard]] const Attributes& attributes() const {
    return std::visit([](const auto& region) -> const Attributes& { return region.attributes(); },
                      region_);
  }
  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const {
    return std::visit([&](const auto& region) { return region.read(at, to); }, region_);
  }
  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t size) const {
    return std::visit([&](const auto& region) { return region.view(at, size); }, region_);
  }
  [[nodiscard]] bool can_write() const {
    return std::visit([](const auto& region) { return allows_write(region); }, region_);
  }
  Transfer write(RegionOffset at, Bytes from) const {
    return std::visit(
        [&](const auto& region) -> Transfer {
          if constexpr (kWritable<decltype(region)>) {
            return region.write(at, from);
          } else {
            if (from.empty()) return {};
            return {0, MemoryErrc::access_refused, 0, at.value};
          }
        },
        region_);
  }
  [[nodiscard]] MemoryResult<VolatileSlice<D>> mutable_view(RegionOffset at,
                                                            std::uint64_t size) const {
    return std::visit(
        [&](const auto& region) -> MemoryResult<VolatileSlice<D>> {
          if constexpr (kWritable<decltype(region)>) {
            return region.mutable_view(at, size);
          } else {
            return fail_memory(MemoryErrc::access_refused, at.value);
          }
        },
        region_);
  }
  /// Errors: unsupported by this kind of region.
  [[nodiscard]] MemoryResult<void> discard(RegionOffset at, std::uint64_t size) const {
    return std::visit(
        [&](const auto& region) -> MemoryResult<void> {
          if constexpr (requires { region.discard(at, size); }) {
            return region.discard(at, size);
          } else {
            return fail_memory(MemoryErrc::unsupported, at.value, size);
          }
        },
        region_);
  }
  /// Of a region that cannot be written: a tracker that is never told anything.
  [[nodiscard]] D dirty() const {
    return std::visit(
        [](const auto& region) -> D {
          if constexpr (kWritable<decltype(region)>) {
            return region.dirty();
          } else {
            return D();
          }
        },
        region_);
  }

 private:
  template <class R>
  static constexpr bool kWritable = WritableRegion<std::remove_cvref_t<R>>;
  static_assert((std::is_same_v<D, TrackerOf<Rs>> || ...));

  std::variant<Rs...> region_;
};

using AnyRegion =
    RegionVariant<NoTracker, MappedRegion<>, ReadOnlyMappedRegion, StreamRegion<>, DecodedRegion>;
/// The same with dirty pages; a region that cannot be written has none.
using AnyTrackedRegion =
    RegionVariant<mapping::OptionalTracker<BitmapSlice>,
                  MappedRegion<mapping::OptionalTracker<BitmapSlice>>, ReadOnlyMappedRegion,
                  StreamRegion<mapping::OptionalTracker<BitmapSlice>>, DecodedRegion>;
static_assert(WritableRegion<AnyRegion> && WritableRegion<AnyTrackedRegion>);

}  // namespace engram::guest
