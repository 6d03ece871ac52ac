// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A line editor at the terminal, with history and completion (libedit).

#include <functional>
#include <memory>
#include <string>

#include "cli/completion.h"
#include "cli/console.h"
#include "cli/interrupts.h"
#include "cli/line_source.h"

namespace engram::cli {

class LineEditor final : public LineSource {
 public:
  using Complete = std::function<Completion(std::string_view line)>;

  /// History is read from, and at the end written to, `history_path`; none if that is empty. A
  /// history that cannot be read or written is done without. Errors: the terminal cannot be used.
  static Result<std::unique_ptr<LineEditor>> create(const Console& console, Interrupts& interrupts,
                                                    Complete complete, std::string history_path);
  ~LineEditor() override;
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  Line read(const std::string& prompt) override;
  [[nodiscard]] bool is_interactive() const override { return true; }

 private:
  struct State;
  explicit LineEditor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// $XDG_STATE_HOME/engram/history, or the same below ~/.local/state; empty if neither is known.
/// (XDG Base Directory Specification 0.8)
[[nodiscard]] std::string default_history_path();

}  // namespace engram::cli
