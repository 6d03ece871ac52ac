// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/repl.h"

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/dump_files.h"
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
  if (statement_.empty() && text.starts_with('.')) {
    run_dot_command(text);
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
  if (!failure.text.empty()) failed(failure.text);
  if (failure.exit_code != kNotAnswered) exit_code_ = failure.exit_code;
  if (failure.exit_code == kReaderGone) leaving_ = true;
}

void Repl::run_dot_command(std::string_view line) {
  const auto blank = line.find_first_of(" \t");
  const std::string_view name = line.substr(0, blank);
  const std::string_view argument =
      blank == std::string_view::npos ? std::string_view() : trimmed(line.substr(blank));
  if (name == ".exit" || name == ".quit") {
    leaving_ = true;
  } else if (name == ".help") {
    show_help();
  } else if (name == ".tables") {
    list_relations();
  } else if (name == ".schema") {
    show_schema(argument);
  } else if (name == ".dump") {
    dump(argument);
  } else if (name == ".mode") {
    if (const auto set = set_format(argument); !set) failed(set.error().text);
  } else {
    failed(fmt::format("{}: no such command (.help lists them)", name));
  }
}

void Repl::dump(std::string_view argument) {
  const auto request = parse_dump_request(argument);
  if (!request) {
    failed(request.error().text);
    return;
  }
  const auto dumped = dump_files(database_, *request, console_, interrupts_);
  if (dumped) {
    print(to_string(*dumped) + '\n');
    return;
  }
  failed(dumped.error().text);
  if (dumped.error().exit_code != kNotAnswered) exit_code_ = dumped.error().exit_code;
}

void Repl::list_relations() {
  std::string text;
  for (const auto& relation : database_.relations()) text += relation.name + '\n';
  print(text);
}

void Repl::show_schema(std::string_view name) {
  std::string text;
  for (const auto& relation : database_.relations()) {
    if (!name.empty() && relation.name != name) continue;
    if (!text.empty()) text += '\n';
    text += schema_text(relation);
  }
  if (text.empty()) {
    failed(fmt::format("{}: no such table or view (.tables lists them)", name));
    return;
  }
  print(text);
}

void Repl::show_help() {
  std::string text = "SQL statements end with a semicolon. Ctrl-C stops a statement.\n\n";
  for (const auto& command : dot_commands()) {
    text += fmt::format("{:<16}  {}\n", fmt::format("{} {}", command.name, command.argument),
                        command.doc);
  }
  text += "\nFunctions:\n";
  for (const auto& function : sql::function_docs()) {
    text += fmt::format("  {}\n      {}\n", function.usage, function.doc);
  }
  print(text);
}

void Repl::print(std::string_view text) {
  auto written = sink_.write(text);
  if (written) written = sink_.flush();
  if (written) return;
  const RunFailure failure = output_failure(sink_, written.error());
  exit_code_ = failure.exit_code;
  leaving_ = true;
  if (!failure.text.empty()) failed(failure.text);
}

void Repl::failed(std::string_view text) {
  any_failed_ = true;
  console_.error(text);
}

}  // namespace engram::cli
