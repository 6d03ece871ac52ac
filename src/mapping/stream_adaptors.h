// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Readers and writers (stream.h) over file descriptors and over private bytes.
//
// Stops of those over descriptors: source_truncated where the memory behind the view is gone
// (EFAULT), os otherwise, EINTR and EAGAIN among them. The descriptor is borrowed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/units.h"
#include "mapping/stream.h"

namespace engram::mapping {

/// read(2), on anything that has a descriptor.
class FdReader {
 public:
  explicit FdReader(int fd) : fd_(fd) {}
  [[nodiscard]] Transfer read_volatile(const VolatileSlice<>& to);
  /// Of very many views (IOV_MAX) only the first are filled in one attempt.
  [[nodiscard]] Transfer read_vectored(std::span<const VolatileSlice<>> to);

 private:
  int fd_;
};

/// write(2).
class FdWriter {
 public:
  explicit FdWriter(int fd) : fd_(fd) {}
  [[nodiscard]] Transfer write_volatile(const ConstVolatileSlice& from);
  [[nodiscard]] Transfer write_vectored(std::span<const ConstVolatileSlice> from);

 private:
  int fd_;
};

/// pread(2) from an offset that moves on with what was read; the descriptor's own stays.
class PreadReader {
 public:
  PreadReader(int fd, FileOffset offset) : fd_(fd), offset_(offset) {}
  [[nodiscard]] FileOffset offset() const { return offset_; }
  /// Behind the last offset that a file can have is the end of the stream.
  [[nodiscard]] Transfer read_volatile(const VolatileSlice<>& to);
  [[nodiscard]] Transfer read_vectored(std::span<const VolatileSlice<>> to);

 private:
  int fd_;
  FileOffset offset_;
};

/// pwrite(2), likewise. Stops: os (EFBIG) behind the last offset that a file can have.
class PwriteWriter {
 public:
  PwriteWriter(int fd, FileOffset offset) : fd_(fd), offset_(offset) {}
  [[nodiscard]] FileOffset offset() const { return offset_; }
  [[nodiscard]] Transfer write_volatile(const ConstVolatileSlice& from);
  [[nodiscard]] Transfer write_vectored(std::span<const ConstVolatileSlice> from);

 private:
  int fd_;
  FileOffset offset_;
};

/// Private bytes as a stream, and a cursor over them.
class SpanReader {
 public:
  explicit SpanReader(Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t position() const { return position_; }
  /// A position behind the end is the end.
  void seek(std::size_t position) { position_ = std::min(position, bytes_.size()); }
  [[nodiscard]] Bytes rest() const { return bytes_.subspan(position_); }
  [[nodiscard]] std::uint64_t remaining() const { return bytes_.size() - position_; }
  /// Stops: source_truncated.
  [[nodiscard]] Transfer read_volatile(const VolatileSlice<>& to);

 private:
  Bytes bytes_;
  std::size_t position_ = 0;
};

/// Private bytes to be filled; takes nothing more when they are full.
class SpanWriter {
 public:
  explicit SpanWriter(MutableBytes bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t position() const { return position_; }
  void seek(std::size_t position) { position_ = std::min(position, bytes_.size()); }
  [[nodiscard]] MutableBytes rest() const { return bytes_.subspan(position_); }
  /// Stops: source_truncated.
  [[nodiscard]] Transfer write_volatile(const ConstVolatileSlice& from);

 private:
  MutableBytes bytes_;
  std::size_t position_ = 0;
};

/// Appends to a vector, which must outlive it. Throws std::bad_alloc.
class VectorWriter {
 public:
  explicit VectorWriter(std::vector<std::byte>& bytes) : bytes_(&bytes) {}
  /// Stops: source_truncated.
  [[nodiscard]] Transfer write_volatile(const ConstVolatileSlice& from);

 private:
  std::vector<std::byte>* bytes_;
};

/// Fills a view with private bytes, piece by piece from its beginning.
template <DirtyTracker D = NoTracker>
class SliceWriter {
 public:
  explicit SliceWriter(VolatileSlice<D> to) : to_(std::move(to)) {}
  /// Bytes that were written.
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t room() const { return to_.size() - position_; }
  /// Writes what still fits. Stops: out_of_bounds where the view ends, source_truncated.
  [[nodiscard]] Transfer write(Bytes from) {
    const Transfer written = to_.write(position_, from);
    position_ += written.count;
    return written;
  }

 private:
  VolatileSlice<D> to_;
  std::size_t position_ = 0;
};

static_assert(SizedReader<SpanReader> && VolatileWriter<SpanWriter> &&
              VolatileWriter<VectorWriter>);
static_assert(VolatileReader<FdReader> && VectoredReader<FdReader> && VolatileReader<PreadReader> &&
              VectoredReader<PreadReader>);
static_assert(VolatileWriter<FdWriter> && VectoredWriter<FdWriter> &&
              VolatileWriter<PwriteWriter> && VectoredWriter<PwriteWriter>);

}  // namespace engram::mapping
