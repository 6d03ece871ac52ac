// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Guest physical memory: regions of host bytes in, bounds-checked physical bytes out.
//
// In:     Region values (what lies where, and what stands behind it).
// Out:    Memory: an immutable, sorted, non-overlapping set of regions that is read by physical
//         address. Reads cross region borders.
// Owner:  Memory owns the region table and keeps the backing mapping alive.
// Errors: reads return how much was read and why they stopped; they never fail otherwise.
//
// Memory is safe to share between threads: nothing in it changes after create().

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "mapping/guarded.h"

namespace engram::guest {

/// What stands behind the bytes of a region. A physical address in no region is absent.
enum class Backing : std::uint8_t {
  host,        ///< bytes in host memory
  zero,        ///< the image says that these bytes are zero and does not store them
  unreadable,  ///< the image has them by its own account, but its file ends before them
};

struct Region {
  PhysAddr start;
  std::uint64_t size = 0;  ///< bytes
  Backing backing = Backing::host;
  const std::byte* host = nullptr;  ///< for Backing::host

  /// One past the last byte: wraps to 0 for a region that ends with the address space.
  [[nodiscard]] PhysAddr end() const { return start + size; }
  /// The last byte; only for a region that is not empty.
  [[nodiscard]] PhysAddr last() const { return start + (size - 1); }
};

/// Why a read stopped.
enum class Stop : std::uint8_t {
  none,        ///< it did not: all bytes were read
  absent,      ///< the image does not have the next byte
  unreadable,  ///< the image should have the next byte, but its file is truncated or failing
};

constexpr const char* to_string(Stop stop) {
  switch (stop) {
    case Stop::none:
      return "complete";
    case Stop::absent:
      return "not in the image";
    case Stop::unreadable:
      return "not readable (the image file is cut or failing)";
  }
  return "?";
}

struct ReadOutcome {
  std::size_t count = 0;  ///< bytes read before the stop
  Stop stop = Stop::none;

  [[nodiscard]] bool complete() const { return stop == Stop::none; }
};

/// Physical memory of a machine that does not run any more.
class Memory {
 public:
  Memory() = default;

  /// `owner` keeps the bytes behind the regions alive. Regions may come in any order; neighbours
  /// with the same backing (for host memory: that continue each other there) are merged. Errors: an
  /// empty region, one whose end exceeds 2^64, two that overlap (both are named).
  static Result<Memory> create(std::vector<Region> regions, std::shared_ptr<const void> owner);

  /// Sorted by start; no two overlap.
  [[nodiscard]] std::span<const Region> regions() const { return regions_; }
  /// Bytes that can be read: the regions without the unreadable ones.
  [[nodiscard]] std::uint64_t present_bytes() const { return present_bytes_; }
  /// The end of the last region; 0 if there is none or it ends with the address space.
  [[nodiscard]] PhysAddr end() const {
    return regions_.empty() ? PhysAddr() : regions_.back().end();
  }

  /// The region that holds `address`, or null.
  [[nodiscard]] const Region* find(PhysAddr address) const;

  /// Reads up to to.size() bytes; stops at the first byte that is not there.
  [[nodiscard]] ReadOutcome read(PhysAddr from, MutableBytes to) const;

  /// A value, or nothing if any byte of it is not there.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> load(PhysAddr from) const {
    T value;
    const auto bytes = std::as_writable_bytes(std::span(&value, 1));
    if (!read(from, bytes).complete()) return std::nullopt;
    return value;
  }

  /// One little-endian 64-bit word, or nothing if any byte of it is not there: the fast path of
  /// page walks.
  [[nodiscard]] std::optional<std::uint64_t> load_word(PhysAddr from) const {
    const std::uint64_t offset = from - largest_.start;
    if (offset < largest_.words) return mapping::guarded_load(largest_.host + offset);
    const Region* const region = find(from);
    if (region == nullptr) return std::nullopt;
    if (region->backing == Backing::host && region->last() - from >= 7) {
      return mapping::guarded_load(region->host + (from - region->start));
    }
    return load<std::uint64_t>(from);
  }

 private:
  /// The largest region with host memory: most words lie in it.
  struct Window {
    PhysAddr start;
    std::uint64_t words = 0;  ///< how many offsets a whole word can be loaded from
    const std::byte* host = nullptr;
  };

  std::vector<Region> regions_;
  std::uint64_t present_bytes_ = 0;
  Window largest_;
  std::shared_ptr<const void> owner_;
};

}  // namespace engram::guest
