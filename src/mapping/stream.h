// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Streams of bytes into and out of views: what a reader and a writer are, and the loops over them.
// The ones for file descriptors and for private bytes are in stream_adaptors.h.
//
// An attempt is one system call (or what corresponds) straight on the view, without a buffer in
// between. Its Transfer has a stop only if it failed; fewer bytes than asked for are no failure,
// and none at all (of a view that is not empty) are the end of the stream. After a failure nobody
// knows what was written to the view: all of it is marked dirty then.
//
// Addresses in errors are offsets in the view.

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "mapping/memory_error.h"
#include "mapping/pod.h"
#include "mapping/volatile_slice.h"

namespace engram::mapping {

/// Makes one attempt to fill a view.
template <class R>
concept VolatileReader = requires(R& reader, const VolatileSlice<>& to) {
  { reader.read_volatile(to) } -> std::same_as<Transfer>;
};
/// Makes one attempt to take the bytes of a view.
template <class W>
concept VolatileWriter = requires(W& writer, const ConstVolatileSlice& from) {
  { writer.write_volatile(from) } -> std::same_as<Transfer>;
};
/// A reader that knows how much it has left, so that an exact read need not begin in vain.
template <class R>
concept SizedReader = VolatileReader<R> && requires(const R& reader) {
  { reader.remaining() } -> std::convertible_to<std::uint64_t>;
};
/// They take arrays of views in one attempt, as readv(2) and writev(2) do. The bytes that were read
/// are for the caller to mark.
template <class R>
concept VectoredReader = requires(R& reader, std::span<const VolatileSlice<>> to) {
  { reader.read_vectored(to) } -> std::same_as<Transfer>;
};
template <class W>
concept VectoredWriter = requires(W& writer, std::span<const ConstVolatileSlice> from) {
  { writer.write_vectored(from) } -> std::same_as<Transfer>;
};

namespace detail {

inline bool interrupted(const Transfer& attempt) {
  return attempt.stop == MemoryErrc::os && attempt.os_errno == EINTR;
}

/// Attempts until `size` bytes have moved. attempt(done) is one from there on; a stream that ends
/// before is stopped with `at_end`.
template <class Attempt>
Transfer repeat(std::size_t size, MemoryErrc at_end, Attempt attempt) {
  std::size_t done = 0;
  while (done < size) {
    const Transfer moved = attempt(done);
    // A stream that claims more than there is room for must not lead past the end.
    done += std::min(moved.count, size - done);
    if (interrupted(moved)) continue;
    if (!moved.complete()) return {done, moved.stop, moved.os_errno, done};
    if (moved.count == 0) return {done, at_end, 0, done};
  }
  return {done};
}

/// Removes `count` bytes from the front of the views, and the views that are empty then.
template <class Slice>
std::span<Slice> without_front(std::span<Slice> slices, std::size_t count) {
  while (!slices.empty() && count >= slices.front().size()) {
    count -= slices.front().size();
    slices = slices.subspan(1);
  }
  if (count > 0 && !slices.empty()) slices.front() = *slices.front().offset(count);
  return slices;
}

/// Bytes in all views; as many as a size can say.
template <class Slice>
std::size_t total_size(std::span<Slice> slices) {
  std::size_t total = 0;
  for (const auto& slice : slices) {
    total += std::min(slice.size(), std::numeric_limits<std::size_t>::max() - total);
  }
  return total;
}

}  // namespace detail

/// One attempt, which marks what it read, and all of the view if it failed.
template <VolatileReader R, DirtyTracker D>
[[nodiscard]] Transfer read_once(R& reader, const VolatileSlice<D>& to) {
  const MutablePtrGuard target = to.mutable_guard();
  Transfer attempt = reader.read_volatile(VolatileSlice<>(target.data(), target.size()));
  attempt.count = std::min(attempt.count, to.size());
  to.mark(0, attempt.complete() ? attempt.count : to.size());
  return attempt;
}

/// One attempt that was not interrupted by a signal.
template <VolatileReader R, DirtyTracker D>
[[nodiscard]] Transfer read_some(R& reader, const VolatileSlice<D>& to) {
  Transfer attempt = read_once(reader, to);
  while (attempt.count == 0 && detail::interrupted(attempt)) attempt = read_once(reader, to);
  return attempt;
}

/// Fills the view. Stops: unexpected_eof (a SizedReader that has too little leaves the view
/// untouched); the reader's, with the bytes before in place.
template <VolatileReader R, DirtyTracker D>
[[nodiscard]] Transfer read_exact(R& reader, const VolatileSlice<D>& to) {
  if constexpr (SizedReader<R>) {
    if (reader.remaining() < to.size()) return {0, MemoryErrc::unexpected_eof, 0, 0};
  }
  return detail::repeat(to.size(), MemoryErrc::unexpected_eof,
                        [&](std::size_t done) { return read_once(reader, *to.offset(done)); });
}

/// One attempt that was not interrupted by a signal.
template <VolatileWriter W>
[[nodiscard]] Transfer write_some(W& writer, const ConstVolatileSlice& from) {
  Transfer attempt = writer.write_volatile(from);
  while (attempt.count == 0 && detail::interrupted(attempt)) attempt = writer.write_volatile(from);
  attempt.count = std::min(attempt.count, from.size());
  return attempt;
}

/// Writes the whole view. Stops: write_zero; the writer's.
template <VolatileWriter W>
[[nodiscard]] Transfer write_all(W& writer, const ConstVolatileSlice& from) {
  return detail::repeat(from.size(), MemoryErrc::write_zero, [&](std::size_t done) {
    return writer.write_volatile(*from.offset(done));
  });
}

/// Fills the views one behind the other; they are cut by what was read on the way. Stops: as
/// read_exact(), at an offset in all of them together.
template <VectoredReader R>
[[nodiscard]] Transfer read_exact_vectored(R& reader, std::span<VolatileSlice<>> to) {
  std::size_t before = 0;
  return detail::repeat(detail::total_size(to), MemoryErrc::unexpected_eof, [&](std::size_t done) {
    to = detail::without_front(to, done - before);
    before = done;
    return reader.read_vectored(to);
  });
}

/// Writes the views one behind the other; as read_exact_vectored().
template <VectoredWriter W>
[[nodiscard]] Transfer write_all_vectored(W& writer, std::span<ConstVolatileSlice> from) {
  std::size_t before = 0;
  return detail::repeat(detail::total_size(from), MemoryErrc::write_zero, [&](std::size_t done) {
    from = detail::without_front(from, done - before);
    before = done;
    return writer.write_vectored(from);
  });
}

/// The byte image of an object, whole. Errors: as read_exact() and write_all(); partial.
template <Pod T, VolatileReader R>
[[nodiscard]] MemoryResult<T> read_object(R& reader) {
  T value{};
  ENGRAM_CHECK(read_exact(reader, VolatileSlice<>(mutable_bytes_of(value))).exact(sizeof value));
  return value;
}
template <Pod T, VolatileWriter W>
[[nodiscard]] MemoryResult<void> write_object(W& writer, const T& value) {
  return write_all(writer, ConstVolatileSlice(bytes_of(value))).exact(sizeof value);
}

}  // namespace engram::mapping
