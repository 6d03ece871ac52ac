// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A table of recent steps of page walks that threads share without waiting for each other.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace engram::paging {

/// Maps page numbers to 64-bit values, direct-mapped: a new value takes the place of an old one.
///
/// A slot is two words. Its key word holds the page number and a version that each store changes,
/// so that a reader which finds the same key word before and after it loads the value has a value
/// of that page. Acquire and release order the loads; on x86-64 they are plain moves. A writer that
/// finds the slot taken goes without.
template <std::size_t kSlots>
class WalkCache {
 public:
  /// `page` is an address divided by at least 4096: its upper 12 bits are zero.
  [[nodiscard]] std::optional<std::uint64_t> find(std::uint64_t page) const {
    const Slot& slot = slots_[page % kSlots];
    const std::uint64_t key = slot.key.load(std::memory_order_acquire);
    if ((key & ~kVersionMask) != (page << kPageShift | kFilled)) return std::nullopt;
    const std::uint64_t value = slot.value.load(std::memory_order_acquire);
    if (slot.key.load(std::memory_order_relaxed) != key) return std::nullopt;
    return value;
  }

  void store(std::uint64_t page, std::uint64_t value) {
    Slot& slot = slots_[page % kSlots];
    std::uint64_t key = slot.key.load(std::memory_order_relaxed);
    if ((key & kBusy) != 0 ||
        !slot.key.compare_exchange_strong(key, key | kBusy, std::memory_order_acquire)) {
      return;
    }
    slot.value.store(value, std::memory_order_release);
    const std::uint64_t version = (key + kVersionStep) & kVersionMask;
    slot.key.store(page << kPageShift | version | kFilled, std::memory_order_release);
  }

 private:
  // Key word: page number 63:12, version 11:2, filled, busy.
  static constexpr unsigned kPageShift = 12;
  static constexpr std::uint64_t kBusy = 1;
  static constexpr std::uint64_t kFilled = 2;
  static constexpr std::uint64_t kVersionStep = 4;
  static constexpr std::uint64_t kVersionMask = kPageMask & ~(kBusy | kFilled);

  struct alignas(16) Slot {
    std::atomic<std::uint64_t> key = 0;
    std::atomic<std::uint64_t> value = 0;
  };
  std::array<Slot, kSlots> slots_;
};

}  // namespace engram::paging
