// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/pager.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <utility>

namespace engram::cli {
namespace {

bool is_installed(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + '/' + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

std::string usual_pager() {
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return {};
  for (const char* name : {"ENGRAM_PAGER", "PAGER"}) {
    if (const char* command = std::getenv(name)) {
      return std::string_view(command) == "cat" ? "" : command;
    }
  }
  // -F: leave at once if all fits; -R: colours; -S: long lines are cut; -X: stays on the screen.
  return is_installed("less") ? "less -FRSX" : "";
}

Pager::Pager(const Console& console, std::string command)
    : console_(console),
      terminal_(console.out, "standard output"),
      command_(console.out_is_terminal ? std::move(command) : "") {}

Pager::~Pager() {
  if (pipe_ != nullptr) close();
}

/// The status of the shell that ran the pager.
int Pager::close() {
  const int status = ::pclose(std::exchange(pipe_, nullptr));
  ::sigaction(SIGPIPE, &pipe_signal_, nullptr);
  return status;
}

bool Pager::exceeds_screen() const {
  // The prompt needs a line of its own.
  const std::size_t lines = console_.height() - 1;
  const auto ends = static_cast<std::size_t>(std::count(held_.begin(), held_.end(), '\n'));
  return ends > lines || held_.size() > lines * console_.width();
}

Result<void> Pager::write(std::string_view text) {
  if (command_.empty()) return terminal_.write(text);
  if (pipe_ != nullptr) return page(text);
  held_ += text;
  if (!exceeds_screen()) return {};
  pipe_ = ::popen(command_.c_str(), "we");
  if (pipe_ == nullptr) {
    return fail("{}: {}", command_, std::generic_category().message(errno));
  }
  was_started_ = true;
  // A pager that is left early is no reason to end.
  struct sigaction ignored {};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignored, &pipe_signal_);
  return page(std::exchange(held_, {}));
}

Result<void> Pager::page(std::string_view text) {
  const auto pushed = std::fwrite(text.data(), 1, text.size(), pipe_);
  if (pushed == text.size()) return {};
  left_ = true;
  return fail("{}: {}", command_, std::generic_category().message(errno));
}

Result<void> Pager::flush() {
  return command_.empty() ? terminal_.flush() : Result<void>();
}

Result<void> Pager::finish() {
  if (pipe_ == nullptr) {
    ENGRAM_CHECK(terminal_.write(std::exchange(held_, {})));
    return terminal_.flush();
  }
  constexpr int kNotExecutable = 126;  // POSIX, 2.8.2 Exit Status for Commands
  constexpr int kNotFound = 127;
  const int status = close();
  if (!WIFEXITED(status)) return {};
  if (WEXITSTATUS(status) != kNotExecutable && WEXITSTATUS(status) != kNotFound) return {};
  return fail("{}: the pager could not be run, and the result was not shown (.pager off: none)",
              command_);
}

}  // namespace engram::cli
