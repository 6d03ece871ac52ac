// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/units.h"

namespace engram::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience(500);      // shorter steps show nothing
constexpr milliseconds kBetweenLines(100);  // of a bar

constexpr const char* kEraseLine = "\r\x1b[K";  // ECMA-48 EL: to the end of the line

std::string minutes(double seconds) {
  constexpr double kLongest = 99 * 3600.0;
  const auto whole = static_cast<std::uint64_t>(std::min(seconds, kLongest) + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

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
  const auto begin = std::chrono::steady_clock::now();
  bool shown = false;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kPatience, [this] { return end_; })) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    std::fputs(fmt::format("\r{} ... {:.0f} s", text_, passed.count()).c_str(), err_);
    std::fflush(err_);
    shown = true;
  }
  if (!shown) return;
  std::fputs(kEraseLine, err_);
  std::fflush(err_);
}

std::string progress_line(std::string_view text, std::uint64_t done, std::uint64_t all,
                          double seconds) {
  constexpr std::size_t kBar = 24;
  const double part =
      all == 0 ? 1 : std::min(static_cast<double>(done) / static_cast<double>(all), 1.0);
  const auto filled = static_cast<std::size_t>(part * kBar);
  std::string line = fmt::format("{} [{}{}] {:3.0f} %", text, std::string(filled, '#'),
                                 std::string(kBar - filled, '.'), part * 100);
  if (done == 0 || seconds <= 0) return line;
  const double rate = static_cast<double>(done) / seconds;  // bytes per second
  line += fmt::format("  {:.0f} MiB/s  {} left", rate / static_cast<double>(kMiB),
                      minutes(static_cast<double>(all - std::min(done, all)) / rate));
  return line;
}

ProgressBar::ProgressBar(const Console& console, std::string text)
    : err_(console.err_is_terminal ? console.err : nullptr),
      text_(std::move(text)),
      next_(begin_ + kPatience) {}

ProgressBar::~ProgressBar() {
  if (!shown_) return;
  std::fputs(kEraseLine, err_);
  std::fflush(err_);
}

void ProgressBar::update(std::uint64_t done, std::uint64_t all) {
  const auto now = Clock::now();
  if (err_ == nullptr || now < next_) return;
  next_ = now + kBetweenLines;
  const std::chrono::duration<double> passed = now - begin_;
  std::fputs((kEraseLine + progress_line(text_, done, all, passed.count())).c_str(), err_);
  std::fflush(err_);
  shown_ = true;
}

}  // namespace engram::cli
