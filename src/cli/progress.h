// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A sign of life during a long step.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "cli/console.h"

namespace engram::cli {

/// Shows its text and the seconds passed on a terminal behind `err` if it lives longer than half a
/// second, and takes the line away when it ends. Nothing is shown elsewhere.
class Progress {
 public:
  Progress(const Console& console, std::string text);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void show();

  std::FILE* err_;
  std::string text_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;  ///< the last member: it uses the others
};

/// How far a long step is, of which it is known how long it is: a bar, the rate and the time that
/// is left, on a terminal behind `err`. It appears after half a second. For one thread.
class ProgressBar {
 public:
  ProgressBar(const Console& console, std::string text);
  /// Takes the line away.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Shows the line anew if that is some time ago.
  void update(std::uint64_t done, std::uint64_t all);

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* err_;  ///< null: nothing is shown
  std::string text_;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_;
  bool shown_ = false;
};

/// "TEXT [####......]  40 %  200 MiB/s  0:03 left", in less than 80 columns for a text of 16.
[[nodiscard]] std::string progress_line(std::string_view text, std::uint64_t done,
                                        std::uint64_t all, double seconds);

}  // namespace engram::cli
