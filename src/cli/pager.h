// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Results that are longer than the screen go through a program that shows them page by page.

#include <csignal>
#include <cstdio>
#include <string>

#include "cli/console.h"
#include "output/sink.h"

namespace engram::cli {

/// What the user's environment asks for: $ENGRAM_PAGER, else $PAGER, else `less -FRSX` if there is
/// less; empty if that is empty or `cat`, or the terminal can do nothing.
[[nodiscard]] std::string usual_pager();

/// Holds text back until it is more than a screen; then the pager is started and gets all of it.
/// While the pager runs, Ctrl-C is not its end. One result has one Pager.
class Pager final : public output::Sink {
 public:
  /// `command` is run by the shell of the system. Without one, text goes to the terminal at once.
  Pager(const Console& console, std::string command);
  /// finish(), if that has not been called.
  ~Pager() override;
  Pager(const Pager&) = delete;
  Pager& operator=(const Pager&) = delete;

  Result<void> write(std::string_view text) override;
  /// Held text stays held: finish() hands it over.
  Result<void> flush() override;
  /// The person left the pager before the end.
  [[nodiscard]] bool broken_pipe() const override { return terminal_.broken_pipe() || left_; }

  /// Hands over what is held, and waits until the person has left the pager.
  /// Errors: the terminal is gone; the pager could not be run.
  Result<void> finish();
  /// Whether the pager has been started.
  [[nodiscard]] bool was_started() const { return was_started_; }

 private:
  Result<void> page(std::string_view text);
  int close();
  [[nodiscard]] bool exceeds_screen() const;

  const Console& console_;
  output::FileSink terminal_;
  std::string command_;
  std::string held_;
  std::FILE* pipe_ = nullptr;
  bool was_started_ = false;
  bool left_ = false;
  struct sigaction pipe_signal_ {};  ///< before the pager was started
};

}  // namespace engram::cli
