// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/repl.h"

#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include "cli/command.h"
#include "cli/pager.h"
#include "cli/run_sql.h"
#include "output/writer.h"

namespace engram::cli {
namespace {

constexpr const char* kPrompt = "engram> ";
constexpr const char* kContinuation = "   ...> ";

/// Times since it was made.
class Stopwatch {
 public:
  /// "-- 12.3 ms, 10.9 ms of processors": the one of a clock on the wall, the other of all threads.
  [[nodiscard]] std::string text() const {
    return fmt::format("-- {:.1f} ms, {:.1f} ms of processors\n", now(CLOCK_MONOTONIC) - wall_,
                       now(CLOCK_PROCESS_CPUTIME_ID) - processors_);
  }

 private:
  static double now(clockid_t clock) {
    constexpr double kMillisecondsPerSecond = 1e3;
    constexpr double kNanosecondsPerMillisecond = 1e6;
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * kMillisecondsPerSecond +
           static_cast<double>(time.tv_nsec) / kNanosecondsPerMillisecond;
  }

  double wall_ = now(CLOCK_MONOTONIC);
  double processors_ = now(CLOCK_PROCESS_CPUTIME_ID);
};

}  // namespace

Repl::Repl(OpenImage& image, const Console& console, Interrupts& interrupts)
    : image_(image), console_(console), interrupts_(interrupts) {}

Result<void> Repl::set_format(std::string_view name) {
  output::StringSink none;
  ENGRAM_CHECK(output::make_writer(name, none));
  shell_.format = name;
  return {};
}

int Repl::run(LineSource& lines) {
  run_lines(lines);
  if (shell_.output) {
    if (const auto done = shell_.output->finish(); !done) failed(done.error().text);
  }
  if (exit_code_ != kAnswered) return exit_code_;
  return any_failed_ && !lines.is_interactive() ? kNotAnswered : kAnswered;
}

void Repl::run_lines(LineSource& lines) {
  // Ctrl-C at a script ends the script.
  while (!shell_.is_leaving && exit_code_ == kAnswered) {
    Line line = lines.read(statement_.empty() ? kPrompt : kContinuation);
    if (line.kind == Line::Kind::interrupted) {
      statement_.clear();
      continue;
    }
    if (line.kind == Line::Kind::failed) failed(line.text);
    if (line.kind != Line::Kind::text) break;
    handle(line.text, lines);
    if (lines.is_interactive() && exit_code_ == kInterrupted) exit_code_ = kAnswered;
  }
  // The last statement of a script needs no semicolon.
  if (!shell_.is_leaving && exit_code_ == kAnswered && !trimmed(statement_).empty() &&
      !lines.is_interactive()) {
    run_statement(false);
  }
  statement_.clear();
}

void Repl::run_script(const std::string& path) {
  constexpr int kDeepest = 16;
  if (scripts_ == kDeepest) return failed(fmt::format("{}: .read in .read, too deep", path));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             std::fclose);
  if (!file) {
    return failed(fmt::format("{}: {}", path, std::generic_category().message(errno)));
  }
  FileLines lines(file.get(), path);
  const std::string reader = std::exchange(script_, path);
  ++scripts_;
  run_lines(lines);
  --scripts_;
  script_ = reader;
}

void Repl::handle(const std::string& line, LineSource& lines) {
  const std::string_view text = trimmed(line);
  if (statement_.empty() && text.empty()) return;
  if (statement_.empty() && is_dot_command(text)) {
    run_dot_line(text, lines.is_interactive());
    if (!shell_.script.empty()) run_script(std::exchange(shell_.script, {}));
    return;
  }
  statement_ += line + '\n';
  if (sql::is_complete_statement(statement_)) run_statement(lines.is_interactive());
}

/// Gives `run` the sink for one result, and finishes that: a file, a pager or standard output.
template <class Run>
DotOutcome Repl::with_output(bool is_interactive, Run run) {
  if (const auto once = std::exchange(shell_.once, nullptr)) {
    ENGRAM_CHECK(run(*once));
    const auto done = once->finish();
    return done ? DotOutcome() : tl::unexpected(output_failure(*once, done.error()));
  }
  if (shell_.output) return run(*shell_.output);
  Pager pager(console_, is_interactive ? shell_.pager : "");
  DotOutcome outcome = run(pager);
  const auto done = pager.finish();
  if (pager.was_started()) {
    interrupts_.take();  // Ctrl-C in the pager was meant for the pager
    if (!done) return failed_with(kNotAnswered, "{}", done.error().text);
    // Who leaves the pager has seen enough.
    if (pager.broken_pipe()) return {};
  }
  if (outcome && !done) return tl::unexpected(output_failure(pager, done.error()));
  return outcome;
}

void Repl::run_dot_line(std::string_view line, bool is_interactive) {
  const auto run = [&](output::Sink& sink) {
    DotContext context{image_, console_, interrupts_, sink, &shell_};
    return run_dot_command(context, line);
  };
  if (!is_shell_setting(line)) return finish(with_output(is_interactive, run));
  output::FileSink terminal(console_.out, "standard output");
  finish(run(terminal));
}

void Repl::run_statement(bool is_interactive) {
  const std::string sql = std::exchange(statement_, {});
  const Stopwatch watch;
  const bool on_terminal = !shell_.once && !shell_.output;
  finish(with_output(is_interactive, [&](output::Sink& sink) -> DotOutcome {
    const auto writer =
        output::make_writer(shell_.format, sink, {on_terminal ? console_.width() : 0});
    if (!writer) return failed_with(kNotAnswered, "{}", writer.error().text);
    const auto outcome = run_sql(image_.database(), sql, {**writer, sink}, console_, interrupts_);
    if (shell_.shows_time) times_ = watch.text();
    if (!outcome) return tl::unexpected(outcome.error());
    return {};
  }));
  image_.report_damage(console_);
  console_.say(std::exchange(times_, {}));
}

void Repl::finish(const Result<void, RunFailure>& done) {
  if (done) return;
  const RunFailure& failure = done.error();
  any_failed_ = true;
  if (!failure.text.empty()) error(failure.text);
  console_.say(failure.place);
  if (failure.exit_code == kInterrupted || failure.exit_code == kReaderGone) {
    exit_code_ = failure.exit_code;
  }
  if (failure.exit_code == kReaderGone) shell_.is_leaving = true;
}

void Repl::failed(std::string_view text) {
  any_failed_ = true;
  error(text);
}

void Repl::error(std::string_view text) const {
  console_.error(script_.empty() ? std::string(text) : fmt::format("{}: {}", script_, text));
}

}  // namespace engram::cli
