// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Guest memory as a device sees it that sits behind an IOMMU.
//
// In:     a memory, and an Iommu: who knows what the device's addresses (IOVAs) stand for.
// Out:    IommuMemory: a memory by IOVA with everything that the one behind it can do; or, with the
//         IOMMU off, by physical address, as if it were not there.
// Owner:  copies share the Iommu and the tracker of the IOVAs.
// Errors: those of access.h with IOVAs as addresses, and for the first part of a range that stands
//         in the way iommu_cannot_resolve{address, size} (no translation) or
//         access_refused{address, size}. A range translates as a whole or not at all.
//
// Dirty pages: with the IOMMU off a write marks the tracker of its region, by physical address;
// with it on only the tracker of the IOVAs, by IOVA (what vhost-user asks of a back-end).
//
// A translation holds the table of translations as it is: the range stays valid while a cursor, a
// slices() or a copy uses it, and whoever wants to change the table waits. A thread that has one
// must not begin another, nor change the table.

#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <type_traits>
#include <utility>
#include <variant>

#include "guest/access.h"
#include "guest/bulk_copy.h"
#include "guest/iotlb.h"
#include "guest/region.h"
#include "guest/slices.h"
#include "guest/stream_copy.h"
#include "mapping/writer_first_mutex.h"

namespace engram::guest {

/// A hit, and the lock that keeps it one.
class Translation {
 public:
  Translation(std::shared_lock<mapping::WriterFirstMutex> lock, Iotlb::Pieces pieces)
      : lock_(std::move(lock)), pieces_(pieces) {}
  /// In ascending order; nothing after the last.
  [[nodiscard]] std::optional<Iotlb::Piece> next() { return pieces_.next(); }

 private:
  std::shared_lock<mapping::WriterFirstMutex> lock_;
  Iotlb::Pieces pieces_;
};

/// Any number of threads may translate at once.
template <class I>
concept Iommu = requires(const I& iommu, Range iova, Permissions access) {
  /// All of the range or an error. Who learns translations on demand does so in here, see
  /// SharedIotlb::translate().
  { iommu.translate(iova, access) } -> std::same_as<MemoryResult<Translation>>;
};

/// An Iotlb that threads share: all that an Iommu needs that is told its translations in advance,
/// and the base of one that learns them.
class SharedIotlb {
 public:
  explicit SharedIotlb(std::size_t max_entries = Iotlb::kDefaultMaxEntries) : tlb_(max_entries) {}

  // Errors as in Iotlb. These wait for translations that are in use, and not for those that begin
  // meanwhile.
  MemoryResult<void> map(PhysAddr iova, PhysAddr target, std::uint64_t size, Permissions allowed);
  MemoryResult<void> invalidate(PhysAddr iova, std::uint64_t size);
  void invalidate_all();

  /// What is known now.
  [[nodiscard]] Result<Translation, Iotlb::Obstacles> lookup(Range iova, Permissions access) const;
  /// The same. Errors: iommu_cannot_resolve or access_refused, of the first obstacle.
  [[nodiscard]] MemoryResult<Translation> translate(Range iova, Permissions access) const {
    return translate(iova, access, [](const Iotlb::Obstacles& obstacles) -> MemoryResult<void> {
      return tl::unexpected(to_error(obstacles));
    });
  }

  /// The same for an Iommu that can ask somebody: `refill(obstacles)` map()s what it learns about
  /// them, or says why it cannot; a missing part is a miss, a refused one asks for more rights.
  /// Then the range is looked up again, for somebody may have invalidated something meanwhile: up
  /// to kMaxRefills times.
  template <class Refill>
  [[nodiscard]] MemoryResult<Translation> translate(Range iova, Permissions access,
                                                    Refill&& refill) const;
  static constexpr int kMaxRefills = 8;

 private:
  static MemoryError to_error(const Iotlb::Obstacles& obstacles);

  mutable mapping::WriterFirstMutex mutex_;
  Iotlb tlb_;
};
static_assert(Iommu<SharedIotlb>);

template <class Refill>
MemoryResult<Translation> SharedIotlb::translate(Range iova, Permissions access,
                                                 Refill&& refill) const {
  for (int refills = 0;; ++refills) {
    auto hit = lookup(iova, access);
    if (hit) return std::move(*hit);
    if (refills == kMaxRefills) return tl::unexpected(to_error(hit.error()));
    ENGRAM_CHECK(refill(std::as_const(hit.error())));
  }
}

/// Tracks for whom it is made: pages of a region, or pages of IOVAs.
template <DirtyTracker RegionTracker, DirtyTracker IovaTracker>
class IommuTracker {
 public:
  explicit IommuTracker(std::variant<RegionTracker, IovaTracker> tracker)
      : tracker_(std::move(tracker)) {}
  static IommuTracker of_region(RegionTracker tracker) {
    return IommuTracker(Either(std::in_place_index<0>, std::move(tracker)));
  }
  static IommuTracker of_iovas(IovaTracker tracker) {
    return IommuTracker(Either(std::in_place_index<1>, std::move(tracker)));
  }

  void mark_dirty(std::uint64_t offset, std::uint64_t size) const {
    std::visit([&](const auto& tracker) { tracker.mark_dirty(offset, size); }, tracker_);
  }
  [[nodiscard]] bool dirty_at(std::uint64_t offset) const {
    return std::visit([&](const auto& tracker) { return tracker.dirty_at(offset); }, tracker_);
  }
  [[nodiscard]] IommuTracker slice_at(std::uint64_t offset) const {
    if (const auto* region = std::get_if<0>(&tracker_)) return of_region(region->slice_at(offset));
    return of_iovas(std::get<1>(tracker_).slice_at(offset));
  }

 private:
  using Either = std::variant<RegionTracker, IovaTracker>;
  Either tracker_;
};

/// A region of the memory behind an IOMMU, whose writes are tracked as the IOMMU wants it. Borrows
/// the region.
template <ReadableRegion R, DirtyTracker D>
class IommuRegion {
 public:
  using Tracker = IommuTracker<TrackerOf<R>, D>;

  /// With the IOMMU off.
  explicit IommuRegion(const R& region) : region_(&region) {}
  /// A part of the region that IOVAs stand for, of which the first byte would have the IOVA
  /// `iova_of_start` (modulo 2^64). `iovas` tracks from IOVA 0 on.
  IommuRegion(const R& region, std::uint64_t iova_of_start, D iovas)
      : region_(&region), iova_of_start_(iova_of_start), iovas_(std::move(iovas)) {}

  /// Of physical addresses.
  [[nodiscard]] Range range() const { return region_->range(); }
  [[nodiscard]] const Attributes& attributes() const { return region_->attributes(); }
  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const {
    return region_->read(at, to);
  }
  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t size) const {
    return region_->view(at, size);
  }

  [[nodiscard]] Tracker dirty() const requires WritableRegion<R> {
    return tracker_at(RegionOffset());
  }
  [[nodiscard]] MemoryResult<VolatileSlice<Tracker>> mutable_view(
      RegionOffset at, std::uint64_t size) const requires WritableRegion<R> {
    ENGRAM_TRY(const auto view, region_->mutable_view(at, size));
    const mapping::MutablePtrGuard bytes = view.mutable_guard();
    return VolatileSlice<Tracker>(bytes.data(), bytes.size(), tracker_at(at));
  }
  /// A region without host memory marks its own tracker, too: it cannot be written otherwise.
  [[nodiscard]] Transfer write(RegionOffset at, Bytes from) const requires WritableRegion<R> {
    if (!iovas_) return region_->write(at, from);
    const auto view = [&](std::uint64_t size) { return region_->mutable_view(at, size); };
    const auto write = [&](const auto& slice) {
      const Bytes fits = from.first(slice.size());
      const std::size_t count = detail::copy_out_by_policy(region_->attributes().faults,
                                                           slice.mutable_guard().data(), fits);
      if (count == fits.size()) return Transfer{count};
      return Transfer{count, MemoryErrc::source_truncated, 0, at.value + count};
    };
    const auto in_place = detail::with_view(view, at, from.size(), write);
    const Transfer moved = in_place ? *in_place : region_->write(at, from);
    if (moved.count != 0) iovas_->mark_dirty(iova_of_start_ + at.value, moved.count);
    return moved;
  }

 private:
  [[nodiscard]] Tracker tracker_at(RegionOffset at) const {
    if (iovas_) return Tracker::of_iovas(iovas_->slice_at(iova_of_start_ + at.value));
    return Tracker::of_region(region_->dirty().slice_at(at.value));
  }

  const R* region_;
  std::uint64_t iova_of_start_ = 0;
  std::optional<D> iovas_;  // with the IOMMU on
};

namespace detail {

/// The cursor of a memory.
template <class M>
using CursorOf = decltype(std::declval<const M&>().pieces(PhysAddr(), 0, Permissions::none));
/// The type of its regions.
template <class M>
using RegionOf =
    std::remove_cv_t<std::remove_pointer_t<decltype(std::declval<CursorOf<M>&>().next().region)>>;

/// The pieces of the pieces that a range of IOVAs translates to.
template <class M, DirtyTracker D>
class IommuCursor {
 public:
  using R = RegionOf<M>;
  using Region = IommuRegion<R, D>;

  /// With the IOMMU off.
  explicit IommuCursor(CursorOf<M> physical) : physical_(std::move(physical)) {}
  IommuCursor(const M& backend, Permissions access, D iovas, Translation translation)
      : backend_(&backend),
        access_(access),
        iovas_(std::move(iovas)),
        translation_(std::move(translation)) {}
  explicit IommuCursor(MemoryError error) : error_(error) {}

  Piece<Region> next() {
    if (error_.code != MemoryErrc::none) return {};
    while (physical_ || to_next_translation()) {
      const Piece<R> piece = physical_->next();
      if (piece.region != nullptr) return on_region(piece);
      if (physical_->error().code != MemoryErrc::none) return fail(physical_->error());
      physical_.reset();
      if (!translation_) return {};
    }
    return {};
  }
  [[nodiscard]] const MemoryError& error() const { return error_; }

 private:
  bool to_next_translation() {
    if (!translation_) return false;
    const auto piece = translation_->next();
    if (!piece) return false;
    physical_.emplace(backend_->pieces(piece->target, piece->iova.size(), access_));
    iova_ = piece->iova.first();
    distance_ = piece->target - piece->iova.first();
    return true;
  }

  Piece<Region> on_region(const Piece<R>& piece) {
    if (translation_) {
      region_.emplace(*piece.region, iova_.value - piece.offset.value, *iovas_);
      iova_ = iova_ + piece.size;
    } else {
      region_.emplace(*piece.region);
    }
    return {&*region_, piece.offset, piece.size};
  }

  /// The error of a physical address, as one of the IOVA that stands for it.
  Piece<Region> fail(const MemoryError& error) {
    error_ = error;
    error_.address -= distance_;
    return {};
  }

  std::optional<CursorOf<M>> physical_;
  std::optional<Region> region_;  // what the last piece points at
  const M* backend_ = nullptr;
  Permissions access_ = Permissions::none;
  std::optional<D> iovas_;
  std::optional<Translation> translation_;  // with the IOMMU on
  PhysAddr iova_;                           // of the next piece
  std::uint64_t distance_ = 0;              // physical address - IOVA, modulo 2^64
  MemoryError error_;
};

}  // namespace detail

/// `D` tracks IOVAs, from 0 on.
template <class M, Iommu I, DirtyTracker D = NoTracker>
class IommuMemory : public MemoryAccess<IommuMemory<M, I, D>, IommuRegion<detail::RegionOf<M>, D>> {
 public:
  using RegionType = IommuRegion<detail::RegionOf<M>, D>;

  /// `iommu` is not null.
  IommuMemory(M backend, std::shared_ptr<const I> iommu, bool enabled, D iovas = D())
      : backend_(std::move(backend)),
        iommu_(std::move(iommu)),
        iovas_(std::move(iovas)),
        enabled_(enabled) {}

  /// The same IOMMU and tracker in front of another memory, switched as this one is now.
  [[nodiscard]] IommuMemory with_replaced_backend(M backend) const {
    return IommuMemory(std::move(backend), iommu_, enabled_, iovas_);
  }

  [[nodiscard]] bool iommu_enabled() const { return enabled_; }
  /// Of this object only: nobody else may use it meanwhile.
  void set_iommu_enabled(bool enabled) { enabled_ = enabled; }

  /// The memory behind; null with the IOMMU on, when physical addresses mean nothing to the device.
  [[nodiscard]] const M* physical_memory() const { return enabled_ ? nullptr : &backend_; }
  [[nodiscard]] const M& backend() const { return backend_; }
  [[nodiscard]] const std::shared_ptr<const I>& iommu() const { return iommu_; }
  /// The tracker of IOVAs.
  [[nodiscard]] const D& iova_dirty() const { return iovas_; }

  /// See access.h. The cursor borrows this.
  [[nodiscard]] detail::IommuCursor<M, D> pieces(PhysAddr address, std::uint64_t size,
                                                 Permissions access) const {
    using Cursor = detail::IommuCursor<M, D>;
    if (!enabled_) return Cursor(backend_.pieces(address, size, access));
    if (size == 0) return Cursor(MemoryError());
    const auto range = Range::make(address, size);
    if (!range) return Cursor(range.error());
    auto translation = iommu_->translate(*range, access);
    if (!translation) return Cursor(translation.error());
    return Cursor(backend_, access, iovas_, std::move(*translation));
  }

 private:
  M backend_;
  std::shared_ptr<const I> iommu_;
  D iovas_;
  bool enabled_;
};

}  // namespace engram::guest
