// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Commands: arguments in, one of the layers below at work, an exit code out.
//
// In:     the command line, the console.
// Out:    text on the console's streams; the exit code.
// Owner:  a command owns the values of its flags.
// Errors: printed as one line on standard error that begins with "engram: ", and an exit code.
//
// A command is one pair of files in commands/ that states its flags, its help and what it does, and
// one line in the list in main.cc.

#include <CLI/CLI.hpp>
#include <memory>
#include <span>

#include "cli/console.h"

namespace engram::cli {

inline constexpr int kAnswered = 0;
inline constexpr int kNotAnswered =
    1;                            ///< no such file, no kernel, wrong SQL, output not written ...
inline constexpr int kUsage = 2;  ///< the command line is wrong
inline constexpr int kInterrupted = 130;  ///< by Ctrl-C: 128 + SIGINT, as shells report it
inline constexpr int kReaderGone = 141;   ///< 128 + SIGPIPE

class Command {
 public:
  virtual ~Command() = default;
  /// Adds the command with its flags and help to the program, and returns it.
  virtual CLI::App* declare(CLI::App& program) = 0;
  /// Does the work, once the flags are set. Returns an exit code.
  virtual int run(const Console& console) = 0;
};

/// Parses the command line and runs the command that it names. Returns the exit code of the
/// process.
int run_program(std::span<const std::unique_ptr<Command>> commands, int argument_count,
                const char* const* arguments, const Console& console);

}  // namespace engram::cli
