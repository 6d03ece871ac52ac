// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/time_limit.h"

namespace engram::cli {

TimeLimit::TimeLimit(sql::Database& database, std::optional<double> seconds) : database_(database) {
  if (seconds)
    thread_ = std::thread([this, time = *seconds] { wait(std::chrono::duration<double>(time)); });
}

TimeLimit::~TimeLimit() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void TimeLimit::wait(std::chrono::duration<double> time) {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, time, [this] { return end_; })) {
    // A statement that begins just now would forget a single interrupt.
    time = std::chrono::milliseconds(5);
    is_over_ = true;
    database_.interrupt();
  }
}

}  // namespace engram::cli
