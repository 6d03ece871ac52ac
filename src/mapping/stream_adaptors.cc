// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/stream_adaptors.h"

#include <limits.h>  // NOLINT(modernize-deprecated-headers): IOV_MAX is POSIX's
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace engram::mapping {
namespace {

constexpr auto kMaxOffset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
constexpr std::size_t kMaxVectors = IOV_MAX;
/// What is added to a vector at once, so that a view whose memory is gone does not make it grow.
constexpr std::size_t kGrowth = 1 * kMiB;

/// What a system call says that moves bytes.
Transfer result_of(ssize_t moved) {
  if (moved >= 0) return {static_cast<std::size_t>(moved)};
  if (errno == EFAULT) return {0, MemoryErrc::source_truncated};
  return {0, MemoryErrc::os, errno};
}

/// Without the empty views in front, so that those that reach the kernel are not all empty: 0 bytes
/// would look like the end.
template <class Slice>
std::span<const Slice> worth_asking(std::span<const Slice> slices) {
  const auto first = std::ranges::find_if(slices, [](const Slice& s) { return !s.empty(); });
  return {first, slices.end()};
}

/// Views as the kernel's own pairs of pointer and size: they have the same layout.
template <class Slice>
const iovec* vectors(std::span<const Slice> slices) {
  static_assert(sizeof(Slice) == sizeof(iovec) && alignof(Slice) == alignof(iovec));
  return reinterpret_cast<const iovec*>(slices.data());
}
template <class Slice>
int vector_count(std::span<const Slice> slices) {
  return static_cast<int>(std::min(slices.size(), kMaxVectors));
}

}  // namespace

Transfer FdReader::read_volatile(const VolatileSlice<>& to) {
  const MutablePtrGuard target = to.mutable_guard();
  if (to.empty()) return {};
  return result_of(::read(fd_, target.data(), target.size()));
}

Transfer FdReader::read_vectored(std::span<const VolatileSlice<>> to) {
  to = worth_asking(to);
  if (to.empty()) return {};
  return result_of(::readv(fd_, vectors(to), vector_count(to)));
}

Transfer FdWriter::write_volatile(const ConstVolatileSlice& from) {
  const PtrGuard source = from.guard();
  if (from.empty()) return {};
  return result_of(::write(fd_, source.data(), source.size()));
}

Transfer FdWriter::write_vectored(std::span<const ConstVolatileSlice> from) {
  from = worth_asking(from);
  if (from.empty()) return {};
  return result_of(::writev(fd_, vectors(from), vector_count(from)));
}

Transfer PreadReader::read_volatile(const VolatileSlice<>& to) {
  const MutablePtrGuard target = to.mutable_guard();
  if (to.empty() || offset_.value >= kMaxOffset) return {};
  const std::size_t size = std::min<std::uint64_t>(target.size(), kMaxOffset - offset_.value);
  const Transfer read =
      result_of(::pread(fd_, target.data(), size, static_cast<off_t>(offset_.value)));
  offset_ = offset_ + read.count;
  return read;
}

Transfer PreadReader::read_vectored(std::span<const VolatileSlice<>> to) {
  to = worth_asking(to);
  if (to.empty() || offset_.value >= kMaxOffset) return {};
  const Transfer read =
      result_of(::preadv(fd_, vectors(to), vector_count(to), static_cast<off_t>(offset_.value)));
  offset_ = offset_ + read.count;
  return read;
}

Transfer PwriteWriter::write_volatile(const ConstVolatileSlice& from) {
  const PtrGuard source = from.guard();
  if (from.empty()) return {};
  if (offset_.value >= kMaxOffset) return {0, MemoryErrc::os, EFBIG};
  const std::size_t size = std::min<std::uint64_t>(source.size(), kMaxOffset - offset_.value);
  const Transfer written =
      result_of(::pwrite(fd_, source.data(), size, static_cast<off_t>(offset_.value)));
  offset_ = offset_ + written.count;
  return written;
}

Transfer PwriteWriter::write_vectored(std::span<const ConstVolatileSlice> from) {
  from = worth_asking(from);
  if (from.empty()) return {};
  if (offset_.value >= kMaxOffset) return {0, MemoryErrc::os, EFBIG};
  const Transfer written = result_of(
      ::pwritev(fd_, vectors(from), vector_count(from), static_cast<off_t>(offset_.value)));
  offset_ = offset_ + written.count;
  return written;
}

Transfer SpanReader::read_volatile(const VolatileSlice<>& to) {
  const Bytes bytes = rest().first(std::min(rest().size(), to.size()));
  const Transfer read = to.write(0, bytes);
  position_ += read.count;
  return read;
}

Transfer SpanWriter::write_volatile(const ConstVolatileSlice& from) {
  const MutableBytes target = rest().first(std::min(rest().size(), from.size()));
  const Transfer written = from.read(0, target);
  position_ += written.count;
  return written;
}

Transfer VectorWriter::write_volatile(const ConstVolatileSlice& from) {
  std::size_t done = 0;
  while (done < from.size()) {
    const std::size_t before = bytes_->size();
    const std::size_t chunk = std::min(from.size() - done, kGrowth);
    bytes_->resize(before + chunk);
    const Transfer written = from.read(done, MutableBytes(*bytes_).subspan(before));
    bytes_->resize(before + written.count);
    done += written.count;
    if (!written.complete()) return {done, written.stop, written.os_errno, done};
  }
  return {done};
}

}  // namespace engram::mapping
