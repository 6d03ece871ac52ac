// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/memory_atomic.h"

#include <algorithm>

namespace engram::guest::detail {

VersionCensus::Entry::Entry(std::shared_ptr<VersionCensus> census, std::uint64_t generation)
    : census_(std::move(census)), generation_(generation) {
  const std::lock_guard lock(census_->mutex_);
  census_->alive_.push_back(generation_);
}

VersionCensus::Entry::~Entry() {
  const std::lock_guard lock(census_->mutex_);
  std::erase(census_->alive_, generation_);
  census_->left_.notify_all();
}

std::size_t VersionCensus::older(std::uint64_t generation) const {
  return static_cast<std::size_t>(std::count_if(
      alive_.begin(), alive_.end(), [&](std::uint64_t one) { return one < generation; }));
}

void VersionCensus::wait_for_end_of_older(std::uint64_t generation) const {
  std::unique_lock lock(mutex_);
  left_.wait(lock, [&] { return older(generation) == 0; });
}

bool VersionCensus::wait_for_end_of_older(std::uint64_t generation,
                                          std::chrono::nanoseconds patience) const {
  std::unique_lock lock(mutex_);
  return left_.wait_for(lock, patience, [&] { return older(generation) == 0; });
}

std::size_t VersionCensus::count_older(std::uint64_t generation) const {
  const std::lock_guard lock(mutex_);
  return older(generation);
}

}  // namespace engram::guest::detail
