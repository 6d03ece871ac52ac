// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The operations that every guest memory has: a mix-in over one primitive, the walk over the pieces
// of a range of addresses. What is derived from MemoryAccess<Self, R> has
//
//   cursor pieces(PhysAddr address, std::uint64_t size, Permissions access) const;
//
// A cursor hands out the pieces of [address, address + size) in order, one region each, until the
// range is covered or an address is not there:
//
//   Piece<R> next();                   // null region: no more
//   const MemoryError& error() const;  // why no more; code none if the range is covered
//
// A region that a piece points at is valid as long as the memory, or until the next next().
//
// Writing operations only exist if R is a WritableRegion. Copies work on every region; slices, load
// and store need one that has host memory (host_address_unavailable). An operation on no bytes is
// complete wherever it points.
//
// Errors carry guest addresses: invalid_guest_address{the first byte that no region has};
// range_overflow{address, size}; invalid_backend_address{address} where a range had to lie in one
// region; what the region itself reports (source_truncated, not_present, os); for memory behind an
// IOMMU iommu_* and access_refused.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "guest/permissions.h"
#include "guest/region.h"
#include "guest/slices.h"
#include "guest/stream_copy.h"
#include "mapping/pod.h"

namespace engram::guest {

using mapping::AtomicInteger;
using mapping::Pod;

/// A view together with the memory that it looks at: the bytes stay mapped as long as this lives,
/// even if another memory has taken the place of this one.
template <class Slice, class Memory>
struct Pinned {
  Slice slice;
  Memory memory;

  const Slice* operator->() const { return &slice; }
  const Slice& operator*() const { return slice; }
};

template <class Self, ReadableRegion R>
class MemoryAccess {
 public:
  using Tracker = TrackerOf<R>;
  using MutableSlice = VolatileSlice<Tracker>;

  /// Whether every byte of the range has an address here that allows the access; neighbouring
  /// regions may share it. Of no bytes: whether `address` lies in a region or one past one.
  [[nodiscard]] bool check(PhysAddr address, std::uint64_t size,
                           Permissions access = Permissions::none) const {
    if (!WritableRegion<R> && has_write(access)) return false;
    if (size != 0) return covers(address, size, access);
    return covers(address, 1, access) || (address.value != 0 && covers(address - 1, 1, access));
  }
  /// The same for a range in one region; false of no bytes.
  [[nodiscard]] bool check_in_region(PhysAddr address, std::uint64_t size,
                                     Permissions access = Permissions::none) const {
    if (size == 0 || (!WritableRegion<R> && has_write(access))) return false;
    auto cursor = self().pieces(address, size, access);
    return cursor.next().size == size;
  }

  /// Reads up to the first byte that is not there.
  [[nodiscard]] Transfer read(PhysAddr from, MutableBytes to) const {
    return transfer(
        from, to.size(), Permissions::read, [to](const Piece<R>& piece, std::size_t done) {
          const MutableBytes part = to.subspan(done, static_cast<std::size_t>(piece.size));
          return with_reason(piece.region->read(piece.offset, part), part.size());
        });
  }
  /// All or an error; some bytes may have been read then.
  [[nodiscard]] MemoryResult<void> read_exact(PhysAddr from, MutableBytes to) const {
    return read(from, to).exact(to.size());
  }
  /// A copy of a value at any alignment; it may lie across regions.
  template <Pod T>
  [[nodiscard]] MemoryResult<T> read_object(PhysAddr from) const {
    T value;
    const Transfer moved = read(from, mapping::mutable_bytes_of(value));
    if (!moved.complete()) [[unlikely]] {
      return tl::unexpected<MemoryError>(moved.error(sizeof(T)));
    }
    return value;
  }

  /// Writes up to the first byte that is not there.
  Transfer write(PhysAddr to, Bytes from) const requires WritableRegion<R> {
    return transfer(to, from.size(), Permissions::write,
                    [from](const Piece<R>& piece, std::size_t done) {
                      const Bytes part = from.subspan(done, static_cast<std::size_t>(piece.size));
                      return with_reason(piece.region->write(piece.offset, part), part.size());
                    });
  }
  [[nodiscard]] MemoryResult<void> write_exact(PhysAddr to,
                                               Bytes from) const requires WritableRegion<R> {
    return write(to, from).exact(from.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<void> write_object(PhysAddr to,
                                                const T& value) const requires WritableRegion<R> {
    return write_exact(to, mapping::bytes_of(value));
  }
  /// Sets `size` bytes, up to the first one that is not there.
  Transfer fill(PhysAddr to, std::uint64_t size, std::byte value) const requires WritableRegion<R> {
    return transfer(to, size, Permissions::write, [value](const Piece<R>& piece, std::size_t) {
      return detail::fill_piece(*piece.region, piece.offset, piece.size, value);
    });
  }

  /// One atomic access. Errors: as slice(); misaligned{from, sizeof(T)} in host memory, which is
  /// what counts (a dump file need not hold its pages at page boundaries).
  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(mapping::detail::valid_for_load(order))
      [[nodiscard]] MemoryResult<T> load(PhysAddr from) const {
    const MemoryResult<ConstVolatileSlice> slice = this->slice(from, sizeof(T));
    if (!slice) return tl::unexpected<MemoryError>(slice.error());
    const MemoryResult<T> value = slice->template load<T, order>(0);
    if (value) [[likely]]
      return *value;
    return tl::unexpected<MemoryError>(at_guest(value.error(), from));
  }
  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(mapping::detail::valid_for_store(order) && WritableRegion<R>)
      [[nodiscard]] MemoryResult<void> store(PhysAddr to, T value) const {
    const MemoryResult<MutableSlice> slice = mutable_slice(to, sizeof(T), Permissions::write);
    if (!slice) return tl::unexpected<MemoryError>(slice.error());
    const MemoryResult<void> stored = slice->template store<T, order>(0, value);
    if (stored) [[likely]]
      return {};
    return tl::unexpected<MemoryError>(at_guest(stored.error(), to));
  }

  /// A view of a range in one region.
  [[nodiscard]] MemoryResult<ConstVolatileSlice> slice(PhysAddr address, std::uint64_t size) const {
    return one_slice<ConstVolatileSlice>(address, size, Permissions::read);
  }
  [[nodiscard]] MemoryResult<MutableSlice> mutable_slice(
      PhysAddr address, std::uint64_t size,
      Permissions access = Permissions::read_write) const requires WritableRegion<R> {
    return one_slice<MutableSlice>(address, size, access);
  }
  /// The same together with a copy of this memory, which keeps the bytes mapped.
  [[nodiscard]] MemoryResult<Pinned<ConstVolatileSlice, Self>> pinned_slice(
      PhysAddr address, std::uint64_t size) const {
    ENGRAM_TRY(const ConstVolatileSlice view, slice(address, size));
    return Pinned<ConstVolatileSlice, Self>{view, self()};
  }

  /// Views of all of a range, one a region, in order: an input range that makes each when it is
  /// asked for. An error is the last element. None for no bytes.
  [[nodiscard]] auto slices(PhysAddr address, std::uint64_t size) const {
    return Slices<ConstVolatileSlice, R, decltype(self().pieces(address, size, Permissions::read))>(
        self().pieces(address, size, Permissions::read), address);
  }
  [[nodiscard]] auto mutable_slices(PhysAddr address, std::uint64_t size,
                                    Permissions access = Permissions::read_write) const requires
      WritableRegion<R> {
    return Slices<MutableSlice, R, decltype(self().pieces(address, size, access))>(
        self().pieces(address, size, access), address);
  }

  /// Stores what a stream gives, up to `size` bytes. One attempt a region: ends with the first
  /// that gives less than there was room for, so that no byte is left out in between. That a
  /// stream gives less is no failure (mapping/stream.h).
  template <mapping::VolatileReader Stream>
  Transfer read_from(PhysAddr to, Stream& stream,
                     std::uint64_t size) const requires WritableRegion<R> {
    return transfer(to, size, Permissions::write, [&stream](const Piece<R>& piece, std::size_t) {
      return detail::read_piece(*piece.region, piece.offset, piece.size, stream,
                                detail::Amount::one_attempt);
    });
  }
  /// Stores exactly `size` bytes. Further errors: unexpected_eof, alone or as cause of `partial`.
  template <mapping::VolatileReader Stream>
  [[nodiscard]] MemoryResult<void> read_exact_from(
      PhysAddr to, Stream& stream, std::uint64_t size) const requires WritableRegion<R> {
    if constexpr (mapping::SizedReader<Stream>) {
      if (stream.remaining() < size) {
        return fail_memory(MemoryErrc::unexpected_eof, to.value, size);
      }
    }
    return transfer(to, size, Permissions::write,
                    [&stream](const Piece<R>& piece, std::size_t) {
                      return detail::read_piece(*piece.region, piece.offset, piece.size, stream,
                                                detail::Amount::all);
                    })
        .exact(static_cast<std::size_t>(size));
  }
  /// Gives `size` bytes to a stream, up to the first one that is not there. Whatever has been taken
  /// from the memory is written out: to read a device may have changed it. Stops: write_zero too.
  template <mapping::VolatileWriter Stream>
  Transfer write_to(PhysAddr from, Stream& stream, std::uint64_t size) const {
    return transfer(from, size, Permissions::read, [&stream](const Piece<R>& piece, std::size_t) {
      return detail::write_piece(*piece.region, piece.offset, piece.size, stream);
    });
  }
  template <mapping::VolatileWriter Stream>
  [[nodiscard]] MemoryResult<void> write_all_to(PhysAddr from, Stream& stream,
                                                std::uint64_t size) const {
    return write_to(from, stream, size).exact(static_cast<std::size_t>(size));
  }

 private:
  friend Self;
  MemoryAccess() = default;

  [[nodiscard]] const Self& self() const { return static_cast<const Self&>(*this); }

  [[nodiscard]] bool covers(PhysAddr address, std::uint64_t size, Permissions access) const {
    auto cursor = self().pieces(address, size, access);
    while (cursor.next().region != nullptr) {
    }
    return cursor.error().code == MemoryErrc::none;
  }

  /// A copy that is too short and does not say why is stopped all the same.
  static Transfer with_reason(Transfer moved, std::size_t wanted) {
    if (moved.complete() && moved.count < wanted) [[unlikely]]
      moved.stop = MemoryErrc::not_present;
    return moved;
  }

  /// Calls `step(piece, bytes done)` for each piece until one moves less than its size.
  template <class Step>
  Transfer transfer(PhysAddr address, std::uint64_t size, Permissions access, Step step) const {
    auto cursor = self().pieces(address, size, access);
    std::size_t done = 0;
    while (true) {
      const Piece<R> piece = cursor.next();
      if (piece.region == nullptr) break;
      const Transfer moved = step(piece, done);
      // What a region says is not believed beyond what it was asked for.
      done += std::min(moved.count, static_cast<std::size_t>(piece.size));
      if (moved.count < piece.size) {
        return {done, moved.stop, moved.os_errno, moved.complete() ? 0 : address.value + done};
      }
    }
    const MemoryError& error = cursor.error();
    if (error.code == MemoryErrc::none) return {done};
    return {done, error.code, error.os_errno, address.value + done};
  }

  template <class Slice>
  [[nodiscard]] MemoryResult<Slice> one_slice(PhysAddr address, std::uint64_t size,
                                              Permissions access) const {
    auto cursor = self().pieces(address, std::max<std::uint64_t>(size, 1), access);
    const Piece<R> piece = cursor.next();
    if (piece.region == nullptr) return tl::unexpected<MemoryError>(cursor.error());
    if (piece.size < size) {
      // What follows may be no memory at all, or translate to somewhere else.
      if (cursor.next().region == nullptr && is_translation_error(cursor.error().code)) {
        return tl::unexpected<MemoryError>(cursor.error());
      }
      return fail_memory(MemoryErrc::invalid_backend_address, address.value, size);
    }
    return view_of_piece<Slice>(piece, size, address);
  }
  static bool is_translation_error(MemoryErrc code) {
    return code == MemoryErrc::iommu_cannot_resolve || code == MemoryErrc::iommu_misconfigured ||
           code == MemoryErrc::access_refused;
  }

  /// An error of a view that begins at `address`.
  [[nodiscard]] static MemoryError at_guest(MemoryError error, PhysAddr address) {
    error.address += address.value;
    return error;
  }
};

}  // namespace engram::guest
