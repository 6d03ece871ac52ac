// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/diagnostics.h"

#include <utility>

namespace engram {

void Diagnostics::add(Level level, std::string component, std::string message,
                      std::optional<std::uint64_t> address) {
  const std::lock_guard lock(mutex_);
  if (rows_.size() >= capacity_) {
    if (level <= Level::warning) ++dropped_;
    return;
  }
  rows_.push_back({std::chrono::system_clock::now(), level, std::move(component),
                   std::move(message), address, AskedBy::current()});
}

void Diagnostics::set_capacity(std::size_t capacity) {
  const std::lock_guard lock(mutex_);
  capacity_ = capacity;
}

std::vector<Diagnostic> Diagnostics::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

std::uint64_t Diagnostics::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace engram
