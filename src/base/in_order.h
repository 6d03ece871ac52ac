// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tasks on threads of their own, whose results come in the order of the tasks.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "base/result.h"

namespace engram {

/// A queue of as many tasks as there are processors, and one. What a task refers to must outlive
/// the queue.
template <class T>
class InOrder {
 public:
  [[nodiscard]] bool empty() const { return outcomes_.empty(); }
  [[nodiscard]] bool full() const { return outcomes_.size() >= most_; }

  /// `task` returns a Result<T>. A small one is done by take(): a thread would cost more. So is any
  /// if the host has no more threads.
  template <class Task>
  void add(Task task, bool is_small = false) {
    const auto policy =
        is_small ? std::launch::deferred : std::launch::async | std::launch::deferred;
    outcomes_.push_back(std::async(policy, [task = std::move(task)] {
      Result<T> result = task();
      Outcome outcome;
      if (result) {
        outcome.value = std::move(*result);
      } else {
        outcome.error = std::move(result.error());
      }
      return outcome;
    }));
  }
  /// Of the oldest task; there must be one. Errors: its own.
  [[nodiscard]] Result<T> take() {
    Outcome outcome = outcomes_.front().get();
    outcomes_.pop_front();
    if (outcome.error) return tl::unexpected(std::move(*outcome.error));
    return std::move(outcome.value);
  }

 private:
  // Not a Result: g++ 12 warns about what a future makes of one.
  struct Outcome {
    T value;
    std::optional<Error> error;
  };

  std::size_t most_ = std::max<std::size_t>(std::thread::hardware_concurrency(), 1) + 1;
  std::deque<std::future<Outcome>> outcomes_;  // each waits for its task when it goes
};

}  // namespace engram
