// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who waits for an answer may give up: how long walks below learn of it.
//
// What is read once is kept, so a walk that stops early must leave nothing behind: it ends with an
// exception, which Lazy and Once take as "not made yet".

#include <atomic>
#include <exception>
#include <utility>

namespace engram {

/// Thrown by end_if_interrupted().
class Interrupted : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "interrupted"; }
};

/// While one lives, its thread looks at a flag, instead of that of an earlier one. Only who catches
/// Interrupted makes one with a flag that may be set.
class Interruptible {
 public:
  explicit Interruptible(const std::atomic<bool>& is_interrupted)
      : before_(std::exchange(flag(), &is_interrupted)) {}
  ~Interruptible() { flag() = before_; }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  friend void end_if_interrupted();

  static const std::atomic<bool>*& flag() {
    // Of the thread that waits: two that share a session do not end each other's walks.
    thread_local const std::atomic<bool>* of_thread = nullptr;
    return of_thread;
  }

  const std::atomic<bool>* before_;
};

/// For steps of walks that may be long. Throws Interrupted if the flag of this thread is set.
inline void end_if_interrupted() {
  const auto* flag = Interruptible::flag();
  if (flag != nullptr && flag->load(std::memory_order_relaxed)) throw Interrupted();
}

}  // namespace engram
