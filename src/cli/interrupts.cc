// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupts.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

namespace engram::cli {
namespace {

// A signal handler has no argument to find these by; all of them are lock-free.
std::atomic<sql::Database*> watched = nullptr;
std::array<std::atomic<int>, 2> pipe_ends = {-1, -1};
std::atomic<int> end_signal = 0;  // SIGTERM or SIGHUP, if one came
static_assert(std::atomic<sql::Database*>::is_always_lock_free &&
              std::atomic<int>::is_always_lock_free);

/// The pipe wakes up whoever waits for input, whichever thread the signal came to.
void on_interrupt(int signal) {
  const int saved = errno;
  if (signal != SIGINT) end_signal = signal;
  if (sql::Database* database = watched.load()) database->interrupt();
  const char byte = 0;
  // A full pipe says the same already.
  [[maybe_unused]] const auto written = ::write(pipe_ends[1].load(), &byte, 1);
  errno = saved;
}

}  // namespace

Interrupts::Interrupts(Mode mode) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0) {
    pipe_ends[0] = ends[0];
    pipe_ends[1] = ends[1];
  }
  take_signal(SIGINT, mode);
  if (mode == Mode::only_ctrl_c) return;
  take_signal(SIGTERM, mode);
  take_signal(SIGHUP, mode);
}

void Interrupts::take_signal(int signal, Mode mode) {
  Taken taken{signal};
  if (::sigaction(signal, nullptr, &taken.before) != 0) return;
  if (signal != SIGINT && taken.before.sa_handler == SIG_IGN) return;  // nohup(1)
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  if (mode == Mode::first) action.sa_flags |= static_cast<int>(SA_RESETHAND);
  if (::sigaction(signal, &action, nullptr) == 0) taken_.push_back(taken);
}

Interrupts::~Interrupts() {
  for (const Taken& taken : taken_) ::sigaction(taken.signal, &taken.before, nullptr);
  watched = nullptr;
  for (auto& end : pipe_ends) ::close(end.exchange(-1));
  if (const int signal = end_signal.exchange(0); signal != 0) ::raise(signal);
}

void Interrupts::watch(sql::Database* database) {
  watched = database;
}

bool Interrupts::take() {
  std::array<char, 64> bytes;
  bool came = false;
  while (::read(pipe_ends[0].load(), bytes.data(), bytes.size()) > 0) came = true;
  return came;
}

int Interrupts::descriptor() const {
  return pipe_ends[0].load();
}

}  // namespace engram::cli
