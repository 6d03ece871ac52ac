// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A lock that many share all the time, and that one who wants it alone gets nevertheless.

#include <atomic>
#include <mutex>
#include <shared_mutex>

namespace engram::mapping {

/// For std::shared_lock and std::unique_lock. A std::shared_mutex may let new readers overtake a
/// waiting writer for ever (glibc's does); here they wait behind one. So a thread that has it
/// shared must not take it shared once more.
class WriterFirstMutex {
 public:
  void lock() {
    gate_.lock();
    waiting_.store(true, std::memory_order_relaxed);
    mutex_.lock();
  }
  void unlock() {
    waiting_.store(false, std::memory_order_relaxed);
    mutex_.unlock();
    gate_.unlock();
  }
  void lock_shared() {
    // Whether a reader that comes just now sees it does not matter: the next one does.
    if (waiting_.load(std::memory_order_relaxed)) const std::lock_guard behind_writer(gate_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::mutex gate_;  // held by a writer from the time it waits
  std::atomic<bool> waiting_ = false;
  std::shared_mutex mutex_;
};

}  // namespace engram::mapping
