// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <fmt/core.h>

#include <utility>

namespace engram::cli {

Progress::Progress(const Console& console, std::string text)
    : err_(console.err), text_(std::move(text)) {
  if (console.err_is_terminal) thread_ = std::thread([this] { show(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void Progress::show() {
  using std::chrono::milliseconds;
  const auto begin = std::chrono::steady_clock::now();
  bool shown = false;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, milliseconds(500), [this] { return end_; })) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    std::fputs(fmt::format("\r{} ... {:.0f} s", text_, passed.count()).c_str(), err_);
    std::fflush(err_);
    shown = true;
  }
  if (!shown) return;
  std::fputs("\r\x1b[K", err_);  // ECMA-48 EL: erase to the end of the line
  std::fflush(err_);
}

}  // namespace engram::cli
