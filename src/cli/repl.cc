// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/repl.h"

#include "cli/command.h"
#include "cli/run_sql.h"

namespace engram::cli {
namespace {

constexpr const char* kPrompt = "engram> ";
constexpr const char* kContinuation = "   ...> ";

}  // namespace

Repl::Repl(OpenImage& image, const Console& console, Interrupts& interrupts)
    : image_(image),
      console_(console),
      interrupts_(interrupts),
      sink_(console.out, "standard output") {}

Result<void> Repl::set_format(std::string_view name) {
  ENGRAM_CHECK(output::make_writer(name, sink_));
  shell_.format = name;
  return {};
}

int Repl::run(LineSource& lines) {
  while (!shell_.is_leaving) {
    Line line = lines.read(statement_.empty() ? kPrompt : kContinuation);
    if (line.kind == Line::Kind::interrupted) {
      statement_.clear();
      continue;
    }
    if (line.kind == Line::Kind::failed) failed(line.text);
    if (line.kind != Line::Kind::text) break;
    handle(line.text, lines);
  }
  // The last statement of a script needs no semicolon.
  if (!shell_.is_leaving && !trimmed(statement_).empty() && !lines.is_interactive())
    run_statement();
  if (exit_code_ != kAnswered) return exit_code_;
  return any_failed_ && !lines.is_interactive() ? kNotAnswered : kAnswered;
}

void Repl::handle(const std::string& line, LineSource& lines) {
  const std::string_view text = trimmed(line);
  if (statement_.empty() && text.empty()) return;
  if (statement_.empty() && is_dot_command(text)) {
    DotContext context{image_, console_, interrupts_, sink_, &shell_};
    finish(run_dot_command(context, text));
  } else {
    statement_ += line + '\n';
    if (!sql::is_complete_statement(statement_)) return;
    run_statement();
  }
  // Ctrl-C at a script ends the script.
  if (!lines.is_interactive() && exit_code_ == kInterrupted) shell_.is_leaving = true;
  if (lines.is_interactive() && exit_code_ == kInterrupted) exit_code_ = kAnswered;
}

void Repl::run_statement() {
  const std::string sql = std::move(statement_);
  statement_.clear();
  const auto writer = output::make_writer(shell_.format, sink_, {console_.width()});
  if (!writer) {
    failed(writer.error().text);
    return;
  }
  finish(run_sql(image_.database(), sql, {**writer, sink_}, console_, interrupts_));
}

void Repl::finish(const Result<void, RunFailure>& done) {
  if (done) return;
  const RunFailure& failure = done.error();
  any_failed_ = true;
  if (!failure.text.empty()) console_.error(failure.text);
  if (failure.exit_code == kInterrupted || failure.exit_code == kReaderGone) {
    exit_code_ = failure.exit_code;
  }
  if (failure.exit_code == kReaderGone) shell_.is_leaving = true;
}

void Repl::failed(std::string_view text) {
  any_failed_ = true;
  console_.error(text);
}

}  // namespace engram::cli
