// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// How long statements may take.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "sql/database.h"

namespace engram::cli {

/// Interrupts whatever runs on the database once the time is over, until it is destroyed.
class TimeLimit {
 public:
  /// Without `seconds` there is none.
  TimeLimit(sql::Database& database, std::optional<double> seconds);
  ~TimeLimit();
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

  [[nodiscard]] bool is_over() const { return is_over_; }

 private:
  void wait(std::chrono::duration<double> time);

  sql::Database& database_;
  std::atomic<bool> is_over_ = false;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;  ///< the last member: it uses the others
};

}  // namespace engram::cli
