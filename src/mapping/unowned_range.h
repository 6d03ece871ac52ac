// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Host memory that somebody else has mapped and will unmap.

#include <cstdint>

#include "mapping/host_range.h"

namespace engram::mapping {

/// Views of a foreign mapping. It is never unmapped, protected or advised from here.
class UnownedRange {
 public:
  /// The caller answers for the range being mapped, readable and writable, as long as this or a
  /// view of it is used. Errors: invalid_pointer if `address` is not at the start of a page.
  static MemoryResult<UnownedRange> adopt(void* address, std::uint64_t size) {
    const auto number = reinterpret_cast<std::uintptr_t>(address);
    if (number % PageSize::base().bytes() != 0) {
      return fail_memory(MemoryErrc::invalid_pointer, 0, PageSize::base().bytes());
    }
    if (!checked_add<std::uint64_t>(number, size)) {
      return fail_memory(MemoryErrc::range_overflow, 0, size);
    }
    return UnownedRange(static_cast<std::byte*>(address), size);
  }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] VolatileSlice<> slice() const { return {data_, static_cast<std::size_t>(size_)}; }
  [[nodiscard]] NativeRange native_range() const {
    return {data_, static_cast<std::size_t>(size_)};
  }

 private:
  UnownedRange(std::byte* data, std::uint64_t size) : data_(data), size_(size) {}

  std::byte* data_;
  std::uint64_t size_;
};
static_assert(HostMapped<UnownedRange>);

}  // namespace engram::mapping
