// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tasks on threads of their own, whose results come in the order of the tasks.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"

namespace engram {

/// A queue of as many tasks as there are processors, and one. What a task refers to must outlive
/// the queue. Its threads stay until it goes: what a decompressor has for each thread is made once.
/// Whoever waits for a result works, too. A task that was not begun when the queue goes never is.
template <class T>
class InOrder {
 public:
  InOrder() = default;
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;
  ~InOrder() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }  // the threads are joined first: they are the last member

  [[nodiscard]] bool empty() const { return tasks_.empty(); }
  [[nodiscard]] bool full() const { return tasks_.size() >= processors_ + 1; }

  /// `task` returns a Result<T>. A small one is done by take(): a thread would cost more. So is any
  /// if the host has no more threads.
  template <class Task>
  void add(Task task, bool is_small = false) {
    auto work = std::make_unique<Work<Task>>(std::move(task));
    {
      const std::lock_guard lock(mutex_);
      work->state = is_small ? State::small : State::waiting;
      tasks_.push_back(std::move(work));
    }
    if (is_small) return;
    if (threads_.size() + 1 < processors_ && threads_.size() < tasks_.size()) start_thread();
    changed_.notify_one();
  }
  /// Of the oldest task; there must be one. Errors: its own.
  [[nodiscard]] Result<T> take() {
    std::unique_lock lock(mutex_);
    AnyWork& wanted = *tasks_.front();
    if (wanted.state == State::small) wanted.state = State::waiting;
    while (wanted.state != State::done) {
      AnyWork* const next = find_waiting();
      if (next != nullptr) {
        run(*next, lock);
      } else {
        changed_.wait(lock);
      }
    }
    const auto done = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    if (done->exception) std::rethrow_exception(done->exception);
    if (done->error) return tl::unexpected(std::move(*done->error));
    return std::move(done->value);
  }

 private:
  enum class State : std::uint8_t { small, waiting, running, done };

  struct AnyWork {
    virtual ~AnyWork() = default;
    virtual Result<T> run() = 0;
    State state = State::waiting;
    // What it returned; not as a Result: g++ 12 warns about what is kept of one.
    T value;
    std::optional<Error> error;
    std::exception_ptr exception;
  };
  template <class Task>
  struct Work final : AnyWork {
    explicit Work(Task t) : task(std::move(t)) {}
    Result<T> run() override { return task(); }
    Task task;
  };

  /// The oldest; null: all were begun. With the lock.
  AnyWork* find_waiting() {
    const auto found = std::find_if(tasks_.begin(), tasks_.end(),
                                    [](const auto& work) { return work->state == State::waiting; });
    return found == tasks_.end() ? nullptr : found->get();
  }

  void run(AnyWork& work, std::unique_lock<std::mutex>& lock) {
    work.state = State::running;
    lock.unlock();
    try {
      Result<T> result = work.run();
      if (result) {
        work.value = std::move(*result);
      } else {
        work.error = std::move(result.error());
      }
    } catch (...) {
      work.exception = std::current_exception();
    }
    lock.lock();
    work.state = State::done;
    changed_.notify_all();
  }

  void start_thread() {
    try {
      threads_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {  // there are no more
    }
  }

  void serve() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      AnyWork* const next = find_waiting();
      if (next != nullptr) {
        run(*next, lock);
      } else {
        changed_.wait(lock);
      }
    }
  }

  const std::size_t processors_ = std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
  std::mutex mutex_;                 // of what follows, but for what only the owner does
  std::condition_variable changed_;  // a task waits, or is done, or there will be no more
  std::deque<std::unique_ptr<AnyWork>> tasks_;
  bool closed_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace engram
