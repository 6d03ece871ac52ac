// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Page sizes of the host: one, and the set of those that mappings can have.

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "mapping/memory_error.h"

namespace engram::mapping {

/// A page size, kept as its logarithm.
class PageSize {
 public:
  /// Errors: unknown_page_size{expected = bytes} if not a power of two.
  static constexpr MemoryResult<PageSize> of_bytes(std::uint64_t bytes) {
    if (!std::has_single_bit(bytes)) return fail_memory(MemoryErrc::unknown_page_size, 0, bytes);
    return PageSize(static_cast<std::uint8_t>(std::countr_zero(bytes)));
  }
  /// The smallest page of this host.
  [[nodiscard]] static PageSize base();

  [[nodiscard]] constexpr std::uint64_t bytes() const { return std::uint64_t{1} << log2_; }
  [[nodiscard]] constexpr unsigned log2() const { return log2_; }
  constexpr auto operator<=>(const PageSize&) const = default;

 private:
  constexpr explicit PageSize(std::uint8_t log2) : log2_(log2) {}
  std::uint8_t log2_;
};

/// A set of page sizes: bit n stands for 2^n bytes.
class PageSizes {
 public:
  constexpr PageSizes() = default;

  constexpr void insert(PageSize size) { mask_ |= size.bytes(); }
  [[nodiscard]] constexpr bool contains(PageSize size) const { return (mask_ & size.bytes()) != 0; }
  [[nodiscard]] constexpr std::size_t count() const {
    return static_cast<std::size_t>(std::popcount(mask_));
  }
  /// Ascending.
  [[nodiscard]] std::vector<PageSize> list() const;
  /// The only one. Errors: invalid_size{expected = how many there are}.
  [[nodiscard]] MemoryResult<PageSize> single() const;
  constexpr bool operator==(const PageSizes&) const = default;

 private:
  std::uint64_t mask_ = 0;
};

/// The base page and what the kernel has pools for (Documentation/admin-guide/mm/hugetlbpage.rst:
/// /sys/kernel/mm/hugepages/hugepages-<n>kB). A name that is something else is passed over. A pool
/// may be empty: to map is to know.
[[nodiscard]] PageSizes supported_page_sizes(
    const std::string& directory = "/sys/kernel/mm/hugepages");

/// What offsets of file mappings and fixed addresses are multiples of.
[[nodiscard]] std::uint64_t allocation_granularity();

}  // namespace engram::mapping
