// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A sign of life during a long step.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
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

}  // namespace engram::cli
