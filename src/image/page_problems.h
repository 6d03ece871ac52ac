// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Parts of a compressed image that could not be made, found when they were asked for.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"

namespace engram::image {

struct PageProblem {
  std::optional<PhysAddr> address;  ///< of a page; nothing: part of the file, whatever it holds
  std::string text;                 ///< what is wrong with it in the file
};

/// A bounded list that several threads may append to. Each page is listed once, and each text that
/// is of none.
class PageProblems {
 public:
  /// `describe()` makes the text, if there is room for it.
  template <class Describe>
  void add(PhysAddr address, const Describe& describe) {
    const std::lock_guard lock(mutex_);
    if (problems_.size() == kMost) return;
    for (const PageProblem& known : problems_) {
      if (known.address == address) return;
    }
    problems_.push_back({address, describe()});
  }
  void add(std::string text) {
    const std::lock_guard lock(mutex_);
    if (problems_.size() == kMost) return;
    for (const PageProblem& known : problems_) {
      if (!known.address && known.text == text) return;
    }
    problems_.push_back({std::nullopt, std::move(text)});
  }
  [[nodiscard]] std::vector<PageProblem> list() const {
    const std::lock_guard lock(mutex_);
    return problems_;
  }

 private:
  static constexpr std::size_t kMost = 100;  // the first ones explain the rest

  mutable std::mutex mutex_;
  std::vector<PageProblem> problems_;
};

}  // namespace engram::image
