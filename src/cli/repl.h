// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shell's loop: lines in, statements and dot commands run.

#include <memory>
#include <string>
#include <string_view>

#include "cli/console.h"
#include "cli/dot_command.h"
#include "cli/interrupts.h"
#include "cli/line_source.h"

namespace engram::cli {

class Repl {
 public:
  Repl(OpenImage& image, const Console& console, Interrupts& interrupts);

  /// Runs lines until they end or one says to leave. Returns the exit code: 1 if lines that did not
  /// come from a person had an error in them.
  int run(LineSource& lines);

  /// Errors: no such format.
  Result<void> set_format(std::string_view name);
  void set_pager(std::string command) { shell_.pager = std::move(command); }

 private:
  void run_lines(LineSource& lines);
  void run_script(const std::string& path);
  void handle(const std::string& line, LineSource& lines);
  void run_dot_line(std::string_view line, bool is_interactive);
  void run_statement(bool is_interactive);
  template <class Run>
  DotOutcome with_output(bool is_interactive, Run run);
  void finish(const Result<void, RunFailure>& done);
  void failed(std::string_view text);
  void error(std::string_view text) const;

  OpenImage& image_;
  Console console_;
  Interrupts& interrupts_;
  std::string statement_;  ///< the lines so far of one that is not complete
  ShellState shell_;
  std::string times_;   ///< to be shown behind the result
  std::string script_;  ///< that is read; empty: none
  int scripts_ = 0;     ///< .read in .read
  bool any_failed_ = false;
  int exit_code_ = 0;
};

}  // namespace engram::cli
