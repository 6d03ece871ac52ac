// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// How much memory rows may take that are kept for joins.

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/units.h"

namespace engram::sql {

/// Shared by the kept rows of one database, or of several that threads use at once.
class RowBudget {
 public:
  static constexpr std::uint64_t kDefault = 256 * kMiB;

  explicit RowBudget(std::uint64_t bytes = kDefault) : bytes_(bytes) {}

  /// False, and nothing is taken, if so much is not left.
  [[nodiscard]] bool take(std::uint64_t bytes) {
    std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    do {
      if (bytes > bytes_ - taken) return false;
    } while (!taken_.compare_exchange_weak(taken, taken + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::uint64_t bytes) { taken_.fetch_sub(bytes, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  std::uint64_t bytes_;
  std::atomic<std::uint64_t> taken_ = 0;  ///< at most bytes_
};

/// What one holder has of a budget; given back when it is destroyed. Move-only.
class BudgetShare {
 public:
  explicit BudgetShare(std::shared_ptr<RowBudget> budget) : budget_(std::move(budget)) {}
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;
  BudgetShare(BudgetShare&& other) noexcept
      : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  BudgetShare& operator=(BudgetShare&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~BudgetShare() {
    if (budget_) budget_->give_back(bytes_);
  }

  /// False if the budget does not have so much more.
  [[nodiscard]] bool grow(std::uint64_t bytes) {
    if (!budget_->take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }

 private:
  std::shared_ptr<RowBudget> budget_;
  std::uint64_t bytes_ = 0;
};

}  // namespace engram::sql
