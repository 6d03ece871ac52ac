// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Why an operation on mapped or guest memory failed or stopped: 32 bytes, no text, no allocation,
// so that a failing access in a hot path costs no more than a good one. Text is made on demand.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace engram::mapping {

enum class MemoryErrc : std::uint16_t {
  none,  ///< it did not fail
  // Ranges and alignment. `address` is relative to the object that was asked, never a host address.
  empty,           ///< the object was moved from
  invalid_size,    ///< a size of 0, or one that the operation cannot have
  invalid_offset,  ///< an offset that the operation cannot have
  range_overflow,  ///< address + size exceeds 2^64: `address`, `expected` = the size
  out_of_bounds,   ///< `address` = the first address outside, or the end that was asked for
  too_big,  ///< n elements of a size exceed the address space: `expected` = n, `completed` = size
  misaligned,         ///< `address`, `expected` = the alignment
  not_page_aligned,   ///< `address`, `expected` = the page size
  invalid_alignment,  ///< not a power of two: `expected`
  // Moving bytes.
  partial,           ///< an exact operation moved `completed` of `expected` bytes; `cause` says why
  source_truncated,  ///< the backing file ends before the byte, or its disk failed
  not_present,       ///< the source of the bytes says that it does not have them
  os,                ///< a system call failed: `os_errno`
  unexpected_eof,    ///< a stream ended before all bytes were read
  write_zero,        ///< a sink took no more bytes
  // Guest memory. `address` is the guest's physical address.
  invalid_guest_address,     ///< no region has `address`
  invalid_backend_address,   ///< the range runs past the region that `address` lies in
  host_address_unavailable,  ///< the region has no bytes in host memory to point at
  no_region,                 ///< an empty collection, or no such region
  overlap,                   ///< two regions overlap at `address`
  unsorted,                  ///< a region starts before the one in front of it: `address`
  access_refused,            ///< the permissions do not allow it at `address`
  // Mappings.
  invalid_pointer,     ///< not page-aligned memory of this process
  unsupported,         ///< this kind of mapping, or this host, cannot do it
  unknown_page_size,   ///< not a page size of this host: `expected` = the size in bytes
  jit_needed,          ///< writable and executable at once needs a mapping that was made for it
  fixed_needs_owner,   ///< a fixed address that would replace what is there, without saying so
  must_be_adjacent,    ///< the mapping to merge does not begin where this one ends
  attribute_mismatch,  ///< protection, sharing or flags differ
  backing_mismatch,    ///< another file, or not the next bytes of the same one
  sealed,              ///< a seal forbids it
  // Address translation.
  iommu_cannot_resolve,  ///< no translation for [`address`, + `expected`)
  iommu_fragmented,      ///< translates, but to several pieces where one was needed
  iommu_misconfigured,   ///< the translation tables make no sense
  // Xen.
  bad_flags,  ///< a combination of flags that means nothing: `expected` = the bits
};

struct MemoryError {
  MemoryErrc code = MemoryErrc::none;
  MemoryErrc cause = MemoryErrc::none;  ///< of `partial`: what stopped it
  std::int32_t os_errno = 0;
  std::uint64_t address = 0;
  std::uint64_t expected = 0;
  std::uint64_t completed = 0;

  constexpr bool operator==(const MemoryError&) const = default;
};
static_assert(sizeof(MemoryError) == 32 && std::is_trivially_copyable_v<MemoryError>);

template <class T = void>
using MemoryResult = Result<T, MemoryError>;

/// The failing side of a MemoryResult.
[[nodiscard]] constexpr tl::unexpected<MemoryError> fail_memory(MemoryErrc code,
                                                                std::uint64_t address = 0,
                                                                std::uint64_t expected = 0,
                                                                std::uint64_t completed = 0) {
  return tl::unexpected<MemoryError>(
      MemoryError{code, MemoryErrc::none, 0, address, expected, completed});
}

/// The same for a system call that has just failed with `os_errno`.
[[nodiscard]] constexpr tl::unexpected<MemoryError> fail_os(std::int32_t os_errno,
                                                            std::uint64_t address = 0) {
  return tl::unexpected<MemoryError>(
      MemoryError{MemoryErrc::os, MemoryErrc::none, os_errno, address, 0, 0});
}

/// `out of bounds: 0x105 is past the end`: what the code means with its numbers.
[[nodiscard]] std::string to_string(const MemoryError& error);
/// The name of the enumerator with blanks for underscores.
[[nodiscard]] std::string_view to_string(MemoryErrc code);
/// For layers that say their errors as text: `what: ` and to_string().
[[nodiscard]] Error to_error(std::string_view what, const MemoryError& error);

/// How far a partial operation came, and why it stopped. An operation on no bytes is complete
/// wherever it points.
struct Transfer {
  std::size_t count = 0;               ///< bytes moved, from the first one on, without a gap
  MemoryErrc stop = MemoryErrc::none;  ///< why not more; none if all were moved
  std::int32_t os_errno = 0;           ///< with MemoryErrc::os
  std::uint64_t address = 0;           ///< the first byte that was not moved

  [[nodiscard]] constexpr bool complete() const { return stop == MemoryErrc::none; }

  /// The view of an operation that had to move `expected` bytes: the stop itself if not one byte
  /// was moved, `partial` if some were.
  [[nodiscard]] constexpr MemoryResult<void> exact(std::size_t expected) const {
    if (complete()) return {};
    return tl::unexpected<MemoryError>(error(expected));
  }
  [[nodiscard]] constexpr MemoryError error(std::size_t expected) const {
    if (count == 0) return {stop, MemoryErrc::none, os_errno, address, expected, 0};
    return {MemoryErrc::partial, stop, os_errno, address, expected, count};
  }

  constexpr bool operator==(const Transfer&) const = default;
};

}  // namespace engram::mapping
