// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The short way to guest memory for those who use the same part of it again and again.
//
//   Accessor<M>       a memory and the region that was used last: most accesses need no search
//   SnapshotAccessor  the same over a MemoryAtomic: takes the newest map when there is one
//   CachedRange       one range of a MemoryAtomic, such as a ring: looked up once for each map
//
// None of them is for use by two threads at once: each thread or device has its own.

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "guest/bulk_copy.h"
#include "guest/concepts.h"
#include "guest/memory_atomic.h"

namespace engram::guest {

/// The operations are those of MemoryAccess, with the same results.
template <Backend M>
class Accessor {
  using R = typename M::RegionType;
  static constexpr bool kWritable = WritableRegion<R>;
  using Slice = std::conditional_t<kWritable, typename M::MutableSlice, ConstVolatileSlice>;

 public:
  explicit Accessor(M memory) : memory_(std::move(memory)) {}

  [[nodiscard]] const M& memory() const { return memory_; }

  [[nodiscard]] Transfer read(PhysAddr from, MutableBytes to) {
    const std::uint64_t offset = from - start_;
    if (holds(offset, to.size())) [[likely]] {
      if (trusted_ && !detail::is_word(to.size())) {
        detail::opaque_copy(to.data(), host_ + offset, to.size());
        return {to.size()};
      }
      const Transfer moved = window_->read(offset, to);
      if (moved.complete()) [[likely]]
        return moved;
    }
    return read_elsewhere(from, to);
  }
  [[nodiscard]] MemoryResult<void> read_exact(PhysAddr from, MutableBytes to) {
    return read(from, to).exact(to.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<T> read_object(PhysAddr from) {
    if (detail::is_word(sizeof(T)) && holds(from - start_, sizeof(T))) [[likely]] {
      if (const auto value = window_->template read_object<T>(from - start_)) [[likely]]
        return *value;
    }
    T value;
    const Transfer moved = read(from, mapping::mutable_bytes_of(value));
    if (!moved.complete()) [[unlikely]] {
      return tl::unexpected<MemoryError>(moved.error(sizeof(T)));
    }
    return value;
  }

  Transfer write(PhysAddr to, Bytes from) requires kWritable {
    const std::uint64_t offset = to - start_;
    if (holds(offset, from.size())) [[likely]] {
      if (trusted_ && !detail::is_word(from.size())) {
        detail::opaque_copy(host_ + offset, from.data(), from.size());
        window_->mark(offset, from.size());
        return {from.size()};
      }
      const Transfer moved = window_->write(offset, from);
      if (moved.complete()) [[likely]]
        return moved;
    }
    return write_elsewhere(to, from);
  }
  [[nodiscard]] MemoryResult<void> write_exact(PhysAddr to, Bytes from) requires kWritable {
    return write(to, from).exact(from.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<void> write_object(PhysAddr to, const T& value) requires kWritable {
    if (detail::is_word(sizeof(T)) && holds(to - start_, sizeof(T))) [[likely]] {
      if (window_->write_object(to - start_, value)) [[likely]]
        return {};
    }
    return write_exact(to, mapping::bytes_of(value));
  }

  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(mapping::detail::valid_for_load(order))
      [[nodiscard]] MemoryResult<T> load(PhysAddr from) {
    if (holds(from - start_, sizeof(T))) [[likely]] {
      if (const auto value = window_->template load<T, order>(from - start_)) return *value;
    }
    look_at(from);
    return memory_.template load<T, order>(from);
  }
  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(mapping::detail::valid_for_store(order) && kWritable)
      [[nodiscard]] MemoryResult<void> store(PhysAddr to, T value) {
    if (holds(to - start_, sizeof(T))) [[likely]] {
      if (window_->template store<T, order>(to - start_, value)) return {};
    }
    look_at(to);
    return memory_.template store<T, order>(to, value);
  }

 private:
  [[nodiscard]] bool holds(std::uint64_t offset, std::size_t size) const {
    return offset < size_ && size <= size_ - offset;
  }

  [[gnu::noinline]] Transfer read_elsewhere(PhysAddr from, MutableBytes to) {
    look_at(from);
    return memory_.read(from, to);
  }
  [[gnu::noinline]] Transfer write_elsewhere(PhysAddr to, Bytes from) requires kWritable {
    look_at(to);
    return memory_.write(to, from);
  }

  /// Remembers the region at `address`, if it has host memory that may be used without a system
  /// call. What the window cannot do is left to memory_, which says why.
  void look_at(PhysAddr address) {
    if (address - start_ < size_) return;
    const R* const region = memory_.find(address);
    if (region == nullptr) return;
    const FaultPolicy faults = region->attributes().faults;
    if (faults == FaultPolicy::syscall) return;
    std::uint64_t size = region->range().size();
    auto view = view_of(*region, size);
    if (!view && view.error().code == MemoryErrc::source_truncated) {
      size = view.error().address;  // a file that is shorter than the region
      view = view_of(*region, size);
    }
    if (!view || view->size() != size) return;
    window_ = *std::move(view);
    start_ = region->range().first();
    size_ = size;
    trusted_ = faults == FaultPolicy::trusted;
    if constexpr (kWritable) {
      host_ = window_->mutable_guard().data();
    } else {
      host_ = window_->guard().data();
    }
  }
  static MemoryResult<Slice> view_of(const R& region, std::uint64_t size) {
    if constexpr (kWritable) {
      return region.mutable_view(RegionOffset(), size);
    } else {
      return region.view(RegionOffset(), size);
    }
  }

  using Host = std::conditional_t<kWritable, std::byte*, const std::byte*>;

  // The region that was used last; none at first.
  PhysAddr start_;
  std::uint64_t size_ = 0;
  Host host_ = nullptr;
  bool trusted_ = false;
  std::optional<Slice> window_;
  M memory_;
};

/// An Accessor of the newest map of a MemoryAtomic.
template <Backend M>
class SnapshotAccessor {
 public:
  explicit SnapshotAccessor(const MemoryAtomic<M>& memory) : reader_(memory), accessor_(*reader_) {
    generation_ = reader_.generation();
  }

  /// Good until the next call.
  [[nodiscard]] Accessor<M>& operator*() {
    const M& memory = *reader_;
    if (reader_.generation() != generation_) [[unlikely]] {
      accessor_ = Accessor<M>(memory);
      generation_ = reader_.generation();
    }
    return accessor_;
  }
  [[nodiscard]] Accessor<M>* operator->() { return &**this; }

 private:
  typename MemoryAtomic<M>::Reader reader_;
  Accessor<M> accessor_;
  std::uint64_t generation_ = 0;
};

/// A range of guest memory in one region that is used all the time.
template <WritableMemory M>
class CachedRange {
 public:
  CachedRange(const MemoryAtomic<M>& memory, PhysAddr address, std::uint64_t size)
      : reader_(memory), address_(address), size_(size) {}

  /// The bytes in the newest map; good until the next call. Errors: those of mutable_slice(): the
  /// range may have been unplugged, and may come back.
  [[nodiscard]] const MemoryResult<typename M::MutableSlice>& slice() {
    const M& memory = *reader_;
    if (reader_.generation() != generation_) [[unlikely]] {
      slice_ = memory.mutable_slice(address_, size_);
      generation_ = reader_.generation();
    }
    return slice_;
  }

  /// Lets go of the map, so that what was unplugged can be released; see MemoryAtomic.
  void quiesce() {
    reader_.quiesce();
    generation_ = 0;
    slice_ = fail_memory(MemoryErrc::empty, address_.value);
  }

 private:
  typename MemoryAtomic<M>::Reader reader_;
  PhysAddr address_;
  std::uint64_t size_;
  std::uint64_t generation_ = 0;  // none has this number
  MemoryResult<typename M::MutableSlice> slice_ = fail_memory(MemoryErrc::empty);
};

}  // namespace engram::guest
