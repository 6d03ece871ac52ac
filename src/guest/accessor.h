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
    if (current_.holds(from, to.size()) && current_.read(from, to)) [[likely]]
      return {to.size()};
    return read_elsewhere(from, to);
  }
  [[nodiscard]] MemoryResult<void> read_exact(PhysAddr from, MutableBytes to) {
    return read(from, to).exact(to.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<T> read_object(PhysAddr from) {
    if (detail::is_word(sizeof(T)) && current_.holds(from, sizeof(T))) [[likely]] {
      if (const auto value = current_.slice->template read_object<T>(current_.offset(from)))
          [[likely]]
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
    if (current_.holds(to, from.size()) && current_.write(to, from)) [[likely]]
      return {from.size()};
    return write_elsewhere(to, from);
  }
  [[nodiscard]] MemoryResult<void> write_exact(PhysAddr to, Bytes from) requires kWritable {
    return write(to, from).exact(from.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<void> write_object(PhysAddr to, const T& value) requires kWritable {
    if (detail::is_word(sizeof(T)) && current_.holds(to, sizeof(T))) [[likely]] {
      if (current_.slice->write_object(current_.offset(to), value)) [[likely]]
        return {};
    }
    return write_exact(to, mapping::bytes_of(value));
  }

  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(mapping::detail::valid_for_load(order))
      [[nodiscard]] MemoryResult<T> load(PhysAddr from) {
    if (current_.holds(from, sizeof(T))) [[likely]] {
      if (const auto value = current_.slice->template load<T, order>(current_.offset(from))) {
        return *value;
      }
    }
    look_at(from);
    return memory_.template load<T, order>(from);
  }
  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(mapping::detail::valid_for_store(order) && kWritable)
      [[nodiscard]] MemoryResult<void> store(PhysAddr to, T value) {
    if (current_.holds(to, sizeof(T))) [[likely]] {
      if (current_.slice->template store<T, order>(current_.offset(to), value)) return {};
    }
    look_at(to);
    return memory_.template store<T, order>(to, value);
  }

 private:
  using Host = std::conditional_t<kWritable, std::byte*, const std::byte*>;

  /// A region, or as much of it as its file has, ready for use.
  struct Window {
    PhysAddr start;
    std::uint64_t size = 0;  // 0: none
    Host host = nullptr;
    bool trusted = false;
    std::optional<Slice> slice;

    [[nodiscard]] std::uint64_t offset(PhysAddr at) const { return at - start; }
    /// Bytes from `at` to the end; 0 outside.
    [[nodiscard]] std::uint64_t room(PhysAddr at) const {
      return offset(at) < size ? size - offset(at) : 0;
    }
    [[nodiscard]] bool holds(PhysAddr at, std::size_t count) const {
      return offset(at) < size && count <= size - offset(at);
    }
    /// False if it could not all be moved: memory_ says why.
    [[nodiscard]] bool read(PhysAddr from, MutableBytes to) const {
      if (trusted && !detail::is_word(to.size())) {
        detail::opaque_copy(to.data(), host + offset(from), to.size());
        return true;
      }
      return slice->read(offset(from), to).complete();
    }
    [[nodiscard]] bool write(PhysAddr to, Bytes from) const requires kWritable {
      if (trusted && !detail::is_word(from.size())) {
        detail::opaque_copy(host + offset(to), from.data(), from.size());
        slice->mark(offset(to), from.size());
        return true;
      }
      return slice->write(offset(to), from).complete();
    }
  };

  // An access that goes across two regions finds both here the next time; what is not in either,
  // or cannot be moved, is left to memory_.
  [[gnu::noinline]] Transfer read_elsewhere(PhysAddr from, MutableBytes to) {
    const std::size_t done =
        piecewise(from, to.size(), [&](const Window& window, std::size_t at, std::size_t count) {
          return window.read(from + at, to.subspan(at, count));
        });
    if (done == to.size()) return {done};
    return continued(done, memory_.read(from + done, to.subspan(done)));
  }
  [[gnu::noinline]] Transfer write_elsewhere(PhysAddr to, Bytes from) requires kWritable {
    const std::size_t done =
        piecewise(to, from.size(), [&](const Window& window, std::size_t at, std::size_t count) {
          return window.write(to + at, from.subspan(at, count));
        });
    if (done == from.size()) return {done};
    return continued(done, memory_.write(to + done, from.subspan(done)));
  }
  static Transfer continued(std::size_t done, Transfer rest) {
    rest.count += done;
    return rest;
  }

  /// Moves what lies in windows, from the first byte on; returns how much that was.
  template <class Move>
  std::size_t piecewise(PhysAddr address, std::size_t size, Move move) {
    if (!fits_address_space(address, size)) return 0;
    std::size_t done = 0;
    while (done < size) {
      const Window* const window = window_at(address + done, size - done);
      if (window == nullptr) break;
      const auto count = static_cast<std::size_t>(
          std::min<std::uint64_t>(window->room(address + done), size - done));
      if (!move(*window, done, count)) break;
      done += count;
    }
    return done;
  }

  /// The window that has `address`, or null. It becomes the current one if it has all of `size`.
  const Window* window_at(PhysAddr address, std::size_t size) {
    if (current_.room(address) != 0) return &current_;
    if (other_.room(address) == 0) {
      look_at(address);
      return current_.room(address) != 0 ? &current_ : nullptr;
    }
    if (!other_.holds(address, size)) return &other_;
    std::swap(current_, other_);
    return &current_;
  }

  /// Makes the region at `address` the current one, if it has host memory that may be used without
  /// a system call.
  void look_at(PhysAddr address) {
    if (current_.room(address) != 0) return;
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
    other_ = std::exchange(current_, Window{region->range().first(), size, host_of(*view),
                                            faults == FaultPolicy::trusted, *view});
  }
  static MemoryResult<Slice> view_of(const R& region, std::uint64_t size) {
    if constexpr (kWritable) {
      return region.mutable_view(RegionOffset(), size);
    } else {
      return region.view(RegionOffset(), size);
    }
  }
  static Host host_of(const Slice& slice) {
    if constexpr (kWritable) {
      return slice.mutable_guard().data();
    } else {
      return slice.guard().data();
    }
  }

  Window current_;  // of the access before
  Window other_;    // the one that was current before that
  M memory_;
};

/// An Accessor of the newest map of a MemoryAtomic. It counts as a reader of the map that it has
/// (wait_for_readers()) until its next access or quiesce().
template <Backend M>
class SnapshotAccessor {
 public:
  explicit SnapshotAccessor(MemoryAtomic<M> memory) : memory_(std::move(memory)) {}

  /// Good until the next call.
  [[nodiscard]] Accessor<M>& operator*() {
    const std::uint64_t newest = memory_.generation();
    if (newest != generation_) [[unlikely]]
      take(newest);
    return *accessor_;
  }
  [[nodiscard]] Accessor<M>* operator->() { return &**this; }

  /// Lets go of the map, so that what was unplugged can be released; see MemoryAtomic.
  void quiesce() {
    accessor_.reset();  // first: its copy of the map is not counted as a reader
    snapshot_.reset();
    generation_ = 0;
  }

 private:
  /// The map may be newer than `generation` when it is taken; then it is taken once more.
  [[gnu::noinline]] void take(std::uint64_t generation) {
    quiesce();
    snapshot_ = memory_.snapshot();
    accessor_.emplace(*snapshot_);
    generation_ = generation;
  }

  MemoryAtomic<M> memory_;
  std::uint64_t generation_ = 0;  // none has this number
  typename MemoryAtomic<M>::Snapshot snapshot_;
  std::optional<Accessor<M>> accessor_;
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
