// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Views of bytes that somebody else may write or take away at any time: a pointer and a size that
// never become a language reference. Every access is bounds-checked and guarded (guarded.h).
//
// A view borrows: it must not outlive the mapping that it came from. It is two words, is passed by
// value, and may be used by several threads at once.
//
// ConstVolatileSlice reads. VolatileSlice<D> also writes, and tells its dirty tracker D after the
// bytes are written. The second converts to the first, never back.
//
// What never tears: a naturally aligned value of 1, 2, 4 or 8 bytes that is moved by an operation
// of exactly its size. Everything else is a copy of bytes that may change meanwhile.
//
// Errors: out_of_bounds, range_overflow, misaligned with addresses relative to the view (never
// those of the host); source_truncated where the memory behind the view is gone.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "mapping/dirty.h"
#include "mapping/guarded.h"
#include "mapping/memory_error.h"
#include "mapping/pod.h"

namespace engram::mapping {

template <Pod T>
class ConstRef;
template <Pod T, DirtyTracker D>
class Ref;
template <Pod T>
class ConstArrayRef;
template <Pod T, DirtyTracker D>
class ArrayRef;

namespace detail {

/// The integer of a size that the processor moves at once; void for other sizes.
template <std::size_t size>
using IntegerOf = std::conditional_t<
    size == 1, std::uint8_t,
    std::conditional_t<size == 2, std::uint16_t,
                       std::conditional_t<size == 4, std::uint32_t,
                                          std::conditional_t<size == 8, std::uint64_t, void>>>>;

/// The fast path of an object that is known to lie in the view: false if it faulted, and if the
/// fault handler is yet to be installed.
template <class T>
[[gnu::always_inline]] inline bool try_read(const std::byte* from, T& value) {
  using Integer = IntegerOf<sizeof(T)>;
  if constexpr (std::is_void_v<Integer>) {
    return guarded_copy(mutable_bytes_of(value), {from, sizeof(T)}) == sizeof(T);
  } else {
    if (!faults_handled()) [[unlikely]]
      return false;
    check_load(from, sizeof(T));
    Integer bits;
    const bool loaded = load_or_fault(from, bits);
    std::memcpy(&value, &bits, sizeof(T));
    return loaded;
  }
}

template <class T>
[[gnu::always_inline]] inline bool try_write(std::byte* to, const T& value) {
  using Integer = IntegerOf<sizeof(T)>;
  if constexpr (std::is_void_v<Integer>) {
    return guarded_copy({to, sizeof(T)}, bytes_of(value)) == sizeof(T);
  } else {
    if (!faults_handled()) [[unlikely]]
      return false;
    check_store(to, sizeof(T));
    Integer bits;
    std::memcpy(&bits, &value, sizeof(T));
    return store_or_fault(to, bits);
  }
}

constexpr bool valid_for_load(std::memory_order order) {
  return order == std::memory_order_relaxed || order == std::memory_order_consume ||
         order == std::memory_order_acquire || order == std::memory_order_seq_cst;
}
constexpr bool valid_for_store(std::memory_order order) {
  return order == std::memory_order_relaxed || order == std::memory_order_release ||
         order == std::memory_order_seq_cst;
}

inline bool aligned(const std::byte* at, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(at) % alignment == 0;
}

}  // namespace detail

/// A pointer for system calls and devices. What is written through it is not tracked.
class PtrGuard {
 public:
  PtrGuard(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  const std::byte* data_;
  std::size_t size_;
};

class MutablePtrGuard {
 public:
  MutablePtrGuard(std::byte* data, std::size_t size) : data_(data), size_(size) {}
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_;
  std::size_t size_;
};

class ConstVolatileSlice {
 public:
  constexpr ConstVolatileSlice() = default;
  /// The caller answers for `size` bytes being mapped at `data` as long as the view is used, and
  /// for everybody else using them only like this.
  constexpr ConstVolatileSlice(const std::byte* data, std::size_t size)
      : data_(data), size_(size) {}
  /// Private bytes as a view.
  constexpr explicit ConstVolatileSlice(Bytes bytes) : data_(bytes.data()), size_(bytes.size()) {}

  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }

  /// Errors: range_overflow{offset, size}; out_of_bounds{offset + size}.
  [[nodiscard]] MemoryResult<void> check(std::uint64_t offset, std::uint64_t size) const {
    if (contains(offset, size)) [[likely]]
      return {};
    return tl::unexpected<MemoryError>(access_error(*this, offset, size, 1));
  }

  /// A part; empty at the very end is legal. Errors: as check().
  [[nodiscard]] MemoryResult<ConstVolatileSlice> subslice(std::uint64_t offset,
                                                          std::uint64_t size) const {
    ENGRAM_CHECK(check(offset, size));
    return part(offset, size);
  }
  /// The rest. Errors: out_of_bounds{offset}.
  [[nodiscard]] MemoryResult<ConstVolatileSlice> offset(std::uint64_t offset) const {
    ENGRAM_CHECK(check(offset, 0));
    return part(offset, size_ - offset);
  }
  /// [0, middle) and [middle, size). Errors: out_of_bounds{middle}.
  [[nodiscard]] MemoryResult<std::pair<ConstVolatileSlice, ConstVolatileSlice>> split_at(
      std::uint64_t middle) const {
    ENGRAM_CHECK(check(middle, 0));
    return std::pair(part(0, middle), part(middle, size_ - middle));
  }

  /// Copies what lies in the view, up to to.size() bytes.
  [[nodiscard]] Transfer read(std::uint64_t offset, MutableBytes to) const {
    if (contains(offset, to.size())) [[likely]] {
      const std::size_t count = guarded_copy(to, {data_ + offset, to.size()});
      if (count == to.size()) [[likely]]
        return {count};
      return {count, MemoryErrc::source_truncated, 0, offset + count};
    }
    return read_beyond(offset, to);
  }
  /// All or an error; some bytes may have been copied then.
  [[nodiscard]] MemoryResult<void> read_exact(std::uint64_t offset, MutableBytes to) const {
    return read(offset, to).exact(to.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<T> read_object(std::uint64_t offset) const {
    if (contains(offset, sizeof(T))) [[likely]] {
      T value;
      if (detail::try_read(data_ + offset, value)) [[likely]]
        return value;
    }
    return read_object_slowly<T>(*this, offset);
  }

  /// One atomic load. Errors: as check(), then misaligned; source_truncated.
  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(detail::valid_for_load(order))
      [[nodiscard]] MemoryResult<T> load(std::uint64_t offset) const {
    if (!contains(offset, sizeof(T)) || !detail::aligned(data_ + offset, sizeof(T))) [[unlikely]]
      return tl::unexpected<MemoryError>(access_error(*this, offset, sizeof(T), sizeof(T)));
    const auto value = guarded_load<T>(data_ + offset);
    if (!value) [[unlikely]]
      return fail_memory(MemoryErrc::source_truncated, offset);
    if constexpr (order != std::memory_order_relaxed) detail::acquire(data_ + offset);
    return *value;
  }

  /// An object in the view, at any alignment. Errors: as check().
  template <Pod T>
  [[nodiscard]] MemoryResult<ConstRef<T>> ref(std::uint64_t offset) const {
    ENGRAM_CHECK(check(offset, sizeof(T)));
    return ConstRef<T>(part(offset, sizeof(T)));
  }
  /// `count` of them. Errors: too_big{count, sizeof(T)}; as check().
  template <Pod T>
  [[nodiscard]] MemoryResult<ConstArrayRef<T>> array_ref(std::uint64_t offset,
                                                         std::uint64_t count) const {
    ENGRAM_TRY(const std::uint64_t size, array_size(count, sizeof(T)));
    ENGRAM_CHECK(check(offset, size));
    return ConstArrayRef<T>(part(offset, size));
  }

  /// Copies as many whole elements as both have; returns how many. A fault ends it.
  template <Pod T>
  [[nodiscard]] std::size_t copy_to(std::span<T> to) const {
    const std::size_t elements = std::min(to.size(), size_ / sizeof(T));
    const MutableBytes target = std::as_writable_bytes(to.first(elements));
    return guarded_copy(target, {data_, target.size()}) / sizeof(T);
  }

  /// Whether every byte is zero. Errors: source_truncated.
  [[nodiscard]] MemoryResult<bool> is_zero() const;
  /// Whether the bytes of the view are these. Errors: source_truncated.
  [[nodiscard]] MemoryResult<bool> equals(Bytes bytes) const {
    if (bytes.size() != size_) return false;
    const auto equal = guarded_equal({data_, size_}, bytes);
    if (!equal) return fail_memory(MemoryErrc::source_truncated);
    return *equal;
  }

  [[nodiscard]] PtrGuard guard() const { return {data_, size_}; }

  /// A reference into the memory, for code that has excluded all other writers and knows that the
  /// memory stays: unguarded and untracked. Errors: as check(), then misaligned.
  template <Pod T>
  [[nodiscard]] MemoryResult<const T*> unsafe_aligned(std::uint64_t offset) const {
    ENGRAM_CHECK(check_aligned(offset, sizeof(T), alignof(T)));
    return reinterpret_cast<const T*>(data_ + offset);
  }

 protected:
  [[nodiscard]] constexpr const std::byte* host() const { return data_; }
  [[nodiscard]] constexpr ConstVolatileSlice part(std::uint64_t offset, std::uint64_t size) const {
    return {data_ + offset, static_cast<std::size_t>(size)};
  }
  [[nodiscard]] constexpr bool contains(std::uint64_t offset, std::uint64_t size) const {
    return offset <= size_ && size <= size_ - offset;
  }
  [[nodiscard]] MemoryResult<void> check_aligned(std::uint64_t offset, std::size_t size,
                                                 std::size_t alignment) const {
    if (!contains(offset, size) || !detail::aligned(data_ + offset, alignment)) [[unlikely]]
      return tl::unexpected<MemoryError>(access_error(*this, offset, size, alignment));
    return {};
  }
  /// Why an access that failed check() or is misaligned is refused.
  [[gnu::cold]] static MemoryError access_error(ConstVolatileSlice slice, std::uint64_t offset,
                                                std::size_t size, std::size_t alignment);
  [[nodiscard]] static MemoryResult<std::uint64_t> array_size(std::uint64_t count,
                                                              std::size_t size) {
    const auto bytes = checked_multiply<std::uint64_t>(count, size);
    if (!bytes || *bytes > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
      return fail_memory(MemoryErrc::too_big, 0, count, size);
    }
    return *bytes;
  }

 private:
  [[nodiscard, gnu::cold]] Transfer read_beyond(std::uint64_t offset, MutableBytes to) const;
  template <Pod T>
  [[gnu::cold, gnu::noinline]] static MemoryResult<T> read_object_slowly(ConstVolatileSlice slice,
                                                                         std::uint64_t offset) {
    T value;
    const Transfer transfer = slice.read(offset, mutable_bytes_of(value));
    if (!transfer.complete()) return tl::unexpected<MemoryError>(transfer.error(sizeof(T)));
    return value;
  }

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

template <DirtyTracker D = NoTracker>
class VolatileSlice : public ConstVolatileSlice {
 public:
  constexpr VolatileSlice() = default;
  /// As ConstVolatileSlice's; offset 0 of `dirty` is the first byte.
  constexpr VolatileSlice(std::byte* data, std::size_t size, D dirty = D())
      : ConstVolatileSlice(data, size), dirty_(std::move(dirty)) {}
  constexpr explicit VolatileSlice(MutableBytes bytes)
      : VolatileSlice(bytes.data(), bytes.size()) {}

  [[nodiscard]] const D& dirty() const { return dirty_; }

  // The parts of a writable view are writable; errors as in ConstVolatileSlice.
  [[nodiscard]] MemoryResult<VolatileSlice> subslice(std::uint64_t offset,
                                                     std::uint64_t size) const {
    ENGRAM_CHECK(check(offset, size));
    return part(offset, size);
  }
  [[nodiscard]] MemoryResult<VolatileSlice> offset(std::uint64_t offset) const {
    ENGRAM_CHECK(check(offset, 0));
    return part(offset, size() - offset);
  }
  [[nodiscard]] MemoryResult<std::pair<VolatileSlice, VolatileSlice>> split_at(
      std::uint64_t middle) const {
    ENGRAM_CHECK(check(middle, 0));
    return std::pair(part(0, middle), part(middle, size() - middle));
  }

  /// Writes what fits into the view.
  [[nodiscard]] Transfer write(std::uint64_t offset, Bytes from) const {
    const std::size_t room = offset < size() ? size() - static_cast<std::size_t>(offset) : 0;
    if (from.empty()) return {};
    if (room == 0) return {0, MemoryErrc::out_of_bounds, 0, offset};
    const Bytes fits = from.first(std::min(room, from.size()));
    const std::size_t count = guarded_copy({data() + offset, fits.size()}, fits);
    mark(offset, count);
    if (count < fits.size()) return {count, MemoryErrc::source_truncated, 0, offset + count};
    if (count < from.size()) return {count, MemoryErrc::out_of_bounds, 0, offset + count};
    return {count};
  }
  [[nodiscard]] MemoryResult<void> write_exact(std::uint64_t offset, Bytes from) const {
    return write(offset, from).exact(from.size());
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<void> write_object(std::uint64_t offset, const T& value) const {
    if (contains(offset, sizeof(T))) [[likely]] {
      if (detail::try_write(data() + offset, value)) [[likely]] {
        mark(offset, sizeof(T));
        return {};
      }
    }
    return write_object_slowly(*this, offset, value);
  }

  /// One atomic store. Errors: as check(), then misaligned; source_truncated.
  template <AtomicInteger T, std::memory_order order = std::memory_order_seq_cst>
  requires(detail::valid_for_store(order))
      [[nodiscard]] MemoryResult<void> store(std::uint64_t offset, T value) const {
    if (!contains(offset, sizeof(T)) || !detail::aligned(data() + offset, sizeof(T))) [[unlikely]]
      return tl::unexpected<MemoryError>(access_error(*this, offset, sizeof(T), sizeof(T)));
    if constexpr (order != std::memory_order_relaxed) detail::release(data() + offset);
    if (!guarded_store(data() + offset, value)) [[unlikely]]
      return fail_memory(MemoryErrc::source_truncated, offset);
    if constexpr (order == std::memory_order_seq_cst) detail::full_fence();
    mark(offset, sizeof(T));
    return {};
  }

  template <Pod T>
  [[nodiscard]] MemoryResult<Ref<T, D>> ref(std::uint64_t offset) const {
    ENGRAM_CHECK(check(offset, sizeof(T)));
    return Ref<T, D>(part(offset, sizeof(T)));
  }
  template <Pod T>
  [[nodiscard]] MemoryResult<ArrayRef<T, D>> array_ref(std::uint64_t offset,
                                                       std::uint64_t count) const {
    ENGRAM_TRY(const std::uint64_t size, array_size(count, sizeof(T)));
    ENGRAM_CHECK(check(offset, size));
    return ArrayRef<T, D>(part(offset, size));
  }

  /// Copies as many whole elements as both have; returns how many. A fault ends it.
  template <Pod T>
  std::size_t copy_from(std::span<const T> from) const {
    const std::size_t elements = std::min(from.size(), size() / sizeof(T));
    const Bytes source = std::as_bytes(from.first(elements));
    const std::size_t count = guarded_copy({data(), source.size()}, source);
    mark(0, count);
    return count / sizeof(T);
  }
  /// Copies the shorter of both sizes; the views may overlap. Stops: source_truncated.
  Transfer copy_from(const ConstVolatileSlice& from) const {
    const PtrGuard source = from.guard();
    const std::size_t size_of_both = std::min(size(), source.size());
    const std::size_t count = guarded_move({data(), size_of_both}, {source.data(), size_of_both});
    if (count == size_of_both) {
      mark(0, count);
      return {count};
    }
    mark(0, size_of_both);  // a copy that ran backwards may have written anywhere
    return {count, MemoryErrc::source_truncated, 0, count};
  }
  /// Sets every byte. Stops: source_truncated.
  Transfer fill(std::byte value) const {
    const std::size_t count = guarded_fill({data(), size()}, value);
    mark(0, count);
    if (count == size()) return {count};
    return {count, MemoryErrc::source_truncated, 0, count};
  }

  /// For system calls and devices that write: the caller marks what they wrote.
  [[nodiscard]] MutablePtrGuard mutable_guard() const { return {data(), size()}; }
  void mark(std::uint64_t offset, std::uint64_t size) const {
    if (size != 0) dirty_.mark_dirty(offset, size);
  }

  /// As ConstVolatileSlice's, for writing: what is written is not tracked.
  template <Pod T>
  [[nodiscard]] MemoryResult<T*> unsafe_aligned(std::uint64_t offset) const {
    ENGRAM_CHECK(check_aligned(offset, sizeof(T), alignof(T)));
    return reinterpret_cast<T*>(data() + offset);
  }
  /// All operations of an atomic, on memory that is known to stay; not tracked. Not for wait() and
  /// notify(), which do not reach other processes. Errors: as check(), then misaligned.
  template <AtomicInteger T>
  [[nodiscard]] MemoryResult<std::atomic_ref<T>> atomic_ref(std::uint64_t offset) const {
    ENGRAM_CHECK(check_aligned(offset, sizeof(T), std::atomic_ref<T>::required_alignment));
    return std::atomic_ref<T>(*reinterpret_cast<T*>(data() + offset));
  }

 private:
  // The constructors took a pointer to writable bytes.
  [[nodiscard]] constexpr std::byte* data() const { return const_cast<std::byte*>(host()); }
  [[nodiscard]] constexpr VolatileSlice part(std::uint64_t offset, std::uint64_t size) const {
    return {data() + offset, static_cast<std::size_t>(size), dirty_.slice_at(offset)};
  }
  template <Pod T>
  [[gnu::cold, gnu::noinline]] static MemoryResult<void> write_object_slowly(
      const VolatileSlice& slice, std::uint64_t offset, T value) {
    return slice.write_exact(offset, bytes_of(value));
  }

  [[no_unique_address]] D dirty_;
};
// Arrays of views are arrays of iovec for readv(2) and its kin.
static_assert(sizeof(VolatileSlice<>) == 2 * sizeof(void*));

}  // namespace engram::mapping

#include "mapping/volatile_ref.h"  // what ref() and array_ref() return
