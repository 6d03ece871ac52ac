// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/guarded.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "mapping/guarded_x86_64.h"

#if defined(__x86_64__)
#include <cpuid.h>
#else
#include "mapping/guarded_portable.h"
#endif

static_assert(std::endian::native == std::endian::little, "guarded_load returns the host's order");

namespace engram::mapping {
namespace {

#if defined(__x86_64__)

// Without these, as before they are initialised, everything works and is slower.
const bool has_avx = __builtin_cpu_supports("avx") != 0;
/// Whether string instructions copy as fast as anything else: FSRM, SDM volume 2, CPUID leaf 7.
const bool has_fast_strings = [] {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 4 & 1) != 0;
}();

/// From here on the string instruction is the faster one: it does not read the cache lines that it
/// overwrites.
constexpr std::size_t kStringCopy = 16384 + 1;

/// Returns the number of bytes that were not copied. The ranges do not overlap.
std::size_t copy_or_fault(std::byte* to, const std::byte* from, std::size_t size) {
  std::size_t left = size;
  if (size <= 16) {
    if (detail::copy_upto_16(to, from, size)) return 0;
  } else if (size <= 32) {
    if (detail::copy_upto_32(to, from, size)) return 0;
  } else if (size <= 64) {
    if (detail::copy_upto_64(to, from, size)) return 0;
  } else if (size >= kStringCopy && has_fast_strings) {
    return detail::copy_string(to, from, size);
  } else {
    left = size >= 128 && has_avx ? detail::copy_blocks_of_128(to, from, size)
                                  : detail::copy_blocks_of_64(to, from, size);
    if (left == 0) [[likely]]
      return 0;
  }
  // Something faulted in the rest: byte by byte, to learn where.
  const std::size_t done = size - left;
  return detail::copy_string(to + done, from + done, left);
}

/// Returns the number of bytes that were not set.
std::size_t fill_or_fault(std::byte* to, std::byte value, std::size_t size) {
  std::byte pattern[256];  // the string instruction is slow to start
  if (size > sizeof pattern) return detail::fill_string(to, value, size);
  std::memset(pattern, std::to_integer<int>(value), size);
  return copy_or_fault(to, pattern, size);
}

#else

using detail::copy_or_fault;
using detail::fill_or_fault;

#endif

}  // namespace

std::size_t guarded_copy(MutableBytes to, Bytes from) noexcept {
  detail::ensure_faults_handled();
  const std::size_t size = std::min(to.size(), from.size());
  detail::check_load(from.data(), size);
  detail::check_store(to.data(), size);
  return size - copy_or_fault(to.data(), from.data(), size);
}

std::size_t guarded_move(MutableBytes to, Bytes from) noexcept {
  const std::size_t size = std::min(to.size(), from.size());
  const auto distance =
      reinterpret_cast<std::uintptr_t>(to.data()) - reinterpret_cast<std::uintptr_t>(from.data());
  if (distance >= size && 0 - distance >= size) return guarded_copy(to, from);
  // They overlap: through a private buffer, from the end that is overwritten last.
  const bool backwards = distance < size;
  std::byte buffer[4096];
  for (std::size_t done = 0; done < size;) {
    const std::size_t count = std::min(size - done, sizeof buffer);
    const std::size_t at = backwards ? size - done - count : done;
    const std::size_t loaded = guarded_copy({buffer, count}, from.subspan(at, count));
    const std::size_t stored = guarded_copy(to.subspan(at, loaded), {buffer, loaded});
    if (stored < count) return backwards ? 0 : done + stored;
    done += count;
  }
  return size;
}

std::size_t guarded_fill(MutableBytes to, std::byte value) noexcept {
  detail::ensure_faults_handled();
  detail::check_store(to.data(), to.size());
  return to.size() - fill_or_fault(to.data(), value, to.size());
}

std::optional<bool> guarded_equal(Bytes memory, Bytes expected) noexcept {
  std::byte part[4096];
  for (std::size_t at = 0; at < expected.size();) {
    const std::size_t count = std::min(expected.size() - at, sizeof part);
    if (guarded_copy({part, count}, memory.subspan(at, count)) != count) return std::nullopt;
    if (std::memcmp(part, expected.data() + at, count) != 0) return false;
    at += count;
  }
  return true;
}

namespace {

enum class Direction { in, out };

/// One system call may move less than all of it (an iovec holds at most MAX_RW_COUNT bytes, and a
/// fault ends it at a page), so it is repeated until it moves nothing.
std::size_t copy_by_syscall(std::byte* local, std::byte* remote, std::size_t size,
                            Direction direction) {
  std::size_t done = 0;
  while (done < size) {
    const iovec here = {local + done, size - done};
    const iovec there = {remote + done, size - done};
    const ssize_t moved = direction == Direction::in
                              ? ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0)
                              : ::process_vm_writev(::getpid(), &here, 1, &there, 1, 0);
    if (moved <= 0) break;
    done += static_cast<std::size_t>(moved);
  }
  return done;
}

}  // namespace

std::size_t syscall_copy_in(MutableBytes to_private, Bytes from) noexcept {
  return copy_by_syscall(to_private.data(), const_cast<std::byte*>(from.data()),
                         std::min(to_private.size(), from.size()), Direction::in);
}

std::size_t syscall_copy_out(MutableBytes to, Bytes from_private) noexcept {
  return copy_by_syscall(const_cast<std::byte*>(from_private.data()), to.data(),
                         std::min(to.size(), from_private.size()), Direction::out);
}

}  // namespace engram::mapping
