// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A range of bytes inside a mapping, and sets of them.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "mapping/memory_error.h"

namespace engram::mapping {

/// `size` bytes from `offset`, counted from the start of the mapping.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  constexpr bool operator==(const Extent&) const = default;
  /// For an extent that is known not to wrap.
  [[nodiscard]] constexpr std::uint64_t end() const { return offset + size; }

  /// Whether it lies in `total` bytes. Errors: range_overflow{offset, size}; out_of_bounds{end}.
  [[nodiscard]] constexpr MemoryResult<void> check(std::uint64_t total) const {
    const auto last = checked_add(offset, size);
    if (!last) return fail_memory(MemoryErrc::range_overflow, offset, size);
    if (*last > total) return fail_memory(MemoryErrc::out_of_bounds, *last);
    return {};
  }
  /// The pages that it touches; of a checked extent.
  [[nodiscard]] constexpr Extent rounded_out(std::uint64_t page) const {
    const std::uint64_t first = align_down(offset, page);
    return {first, align_up(end(), page) - first};
  }
};

/// Disjoint extents in order; neighbours that touch are one.
class ExtentSet {
 public:
  [[nodiscard]] const std::vector<Extent>& extents() const { return extents_; }

  void insert(Extent added) {
    if (added.size == 0) return;
    const auto touches = [&](const Extent& have) {
      return have.offset <= added.end() && added.offset <= have.end();
    };
    std::uint64_t begin = added.offset, end = added.end();
    for (const Extent& have : extents_) {
      if (!touches(have)) continue;
      begin = std::min(begin, have.offset);
      end = std::max(end, have.end());
    }
    std::erase_if(extents_, touches);
    const Extent whole{begin, end - begin};
    extents_.insert(std::upper_bound(extents_.begin(), extents_.end(), whole, starts_before),
                    whole);
  }

  void erase(Extent removed) {
    if (removed.size == 0) return;
    std::vector<Extent> left;
    for (const Extent& have : extents_) {
      const std::uint64_t before = std::clamp(removed.offset, have.offset, have.end());
      const std::uint64_t after = std::clamp(removed.end(), have.offset, have.end());
      if (before > have.offset) left.push_back({have.offset, before - have.offset});
      if (have.end() > std::max(after, before)) left.push_back({after, have.end() - after});
    }
    extents_ = std::move(left);
  }

  [[nodiscard]] bool contains(Extent wanted) const {
    return wanted.size == 0 || std::any_of(extents_.begin(), extents_.end(), [&](const Extent& e) {
             return e.offset <= wanted.offset && wanted.end() <= e.end();
           });
  }

  /// What the set has of `within`.
  [[nodiscard]] std::vector<Extent> within(Extent within) const {
    std::vector<Extent> parts;
    for (const Extent& have : extents_) {
      const std::uint64_t begin = std::max(have.offset, within.offset);
      const std::uint64_t end = std::min(have.end(), within.end());
      if (begin < end) parts.push_back({begin, end - begin});
    }
    return parts;
  }

  /// Keeps what lies before `at`; returns the rest, counted from `at`.
  [[nodiscard]] ExtentSet split_off(std::uint64_t at) {
    ExtentSet rest;
    for (Extent part : within({at, UINT64_MAX - at})) {
      rest.extents_.push_back({part.offset - at, part.size});
    }
    erase({at, UINT64_MAX - at});
    return rest;
  }

  /// Adds the extents of `other`, which begins `at` bytes further on.
  void append(const ExtentSet& other, std::uint64_t at) {
    for (const Extent& extent : other.extents_) insert({extent.offset + at, extent.size});
  }

 private:
  static bool starts_before(const Extent& a, const Extent& b) { return a.offset < b.offset; }

  std::vector<Extent> extents_;
};

}  // namespace engram::mapping
