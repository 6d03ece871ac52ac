// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A range of guest physical addresses: never empty, never wraps, may end with the address space.

#include <cassert>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/units.h"
#include "mapping/memory_error.h"

namespace engram::guest {

using mapping::fail_memory;
using mapping::MemoryErrc;
using mapping::MemoryError;
using mapping::MemoryResult;
using mapping::Transfer;

/// Whether `size` bytes from `first` on end at 2^64 or before.
constexpr bool fits_address_space(PhysAddr first, std::uint64_t size) {
  return size == 0 || size - 1 <= std::numeric_limits<std::uint64_t>::max() - first.value;
}

/// The next multiple of `alignment`, a power of two; 0 asks for none. Nothing if it exceeds 2^64.
constexpr std::optional<PhysAddr> aligned_up(PhysAddr address, std::uint64_t alignment) {
  return alignment == 0 ? std::optional(address) : address.checked_align_up(alignment);
}
constexpr PhysAddr aligned_down(PhysAddr address, std::uint64_t alignment) {
  return alignment == 0 ? address : address.aligned_down(alignment);
}

class Range {
 public:
  /// Errors: invalid_size of no bytes; range_overflow{first, size} if it ends beyond 2^64.
  static constexpr MemoryResult<Range> make(PhysAddr first, std::uint64_t size) {
    if (size == 0) return fail_memory(MemoryErrc::invalid_size, first.value);
    if (!fits_address_space(first, size)) {
      return fail_memory(MemoryErrc::range_overflow, first.value, size);
    }
    return Range(first, size);
  }
  /// For a range that has been checked before: asserted.
  static constexpr Range checked(PhysAddr first, std::uint64_t size) {
    assert(size != 0 && fits_address_space(first, size));
    return {first, size};
  }

  constexpr bool operator==(const Range&) const = default;

  [[nodiscard]] constexpr PhysAddr first() const { return first_; }
  [[nodiscard]] constexpr PhysAddr last() const { return first_ + (size_ - 1); }
  /// Bytes.
  [[nodiscard]] constexpr std::uint64_t size() const { return size_; }

  // An address below the first one wraps to a huge distance: one comparison for both ends.
  [[nodiscard]] constexpr bool contains(PhysAddr address) const { return address - first_ < size_; }
  [[nodiscard]] constexpr bool contains(Range other) const {
    return contains(other.first_) && other.size_ <= size_ - (other.first_ - first_);
  }
  [[nodiscard]] constexpr bool overlaps(Range other) const {
    return contains(other.first_) || other.contains(first_);
  }
  [[nodiscard]] constexpr std::optional<RegionOffset> offset_of(PhysAddr address) const {
    return contains(address) ? std::optional(RegionOffset(address - first_)) : std::nullopt;
  }
  /// base + distance, if that is an offset in the range.
  [[nodiscard]] constexpr std::optional<RegionOffset> checked_offset(RegionOffset base,
                                                                     std::uint64_t distance) const {
    const auto sum = base.checked_add(distance);
    return sum && sum->value < size_ ? sum : std::nullopt;
  }

 private:
  constexpr Range(PhysAddr first, std::uint64_t size) : first_(first), size_(size) {}

  PhysAddr first_;
  std::uint64_t size_;
};

}  // namespace engram::guest
