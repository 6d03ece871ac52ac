// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is made when it is first asked for, and then kept.

#include <atomic>
#include <memory>
#include <utility>

namespace engram {

/// Any number of threads may ask at once: one of them does it, the others wait. Unlike
/// std::call_once it can be watched by ThreadSanitizer, whose pthread_once never ends after an
/// exception.
class Once {
 public:
  /// Calls `make` if that was not done yet. If it throws, the next one to ask does it.
  template <class Make>
  void call(Make make) {
    int state = state_.load(std::memory_order_acquire);
    while (state != kMade) {
      if (state == kBeingMade) {
        state_.wait(kBeingMade, std::memory_order_acquire);
        state = state_.load(std::memory_order_acquire);
      } else if (state_.compare_exchange_strong(state, kBeingMade, std::memory_order_acquire)) {
        run(make);
        return;
      }
    }
  }

 private:
  static constexpr int kNew = 0, kBeingMade = 1, kMade = 2;

  template <class Make>
  void run(Make& make) {
    try {
      make();
    } catch (...) {
      end(kNew);
      throw;
    }
    end(kMade);
  }

  void end(int state) {
    state_.store(state, std::memory_order_release);
    state_.notify_all();
  }

  std::atomic<int> state_ = kNew;
};

/// A value that any number of threads may ask for. T may be incomplete where the Lazy is declared,
/// as with std::unique_ptr.
template <class T>
class Lazy {
 public:
  /// The value; made of these arguments if this is the first time.
  template <class... Args>
  T& get(Args&&... args) {
    once_.call([&] { value_ = std::make_unique<T>(std::forward<Args>(args)...); });
    return *value_;
  }

 private:
  Once once_;
  std::unique_ptr<T> value_;
};

}  // namespace engram
