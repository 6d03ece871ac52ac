// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/repl.h"

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/run_sql.h"
#include "sql/functions.h"

namespace engram::cli {
namespace {

constexpr const char* kPrompt = "engram> ";
constexpr const char* kContinuation = "   ...> ";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

Repl::Repl(sql::Database& database, const Console& console, Interrupts& interrupts)
    : database_(database),
      console_(console),
      interrupts_(interrupts),
      sink_(console.out, "standard output") {}

Result<void> Repl::set_format(std::string_view name) {
  ENGRAM_CHECK(output::make_writer(name, sink_));
  format_ = name;
  return {};
}

int Repl::run(LineSource& lines) {
  while (!leaving_) {
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
  if (!leaving_ && !trimmed(statement_).empty() && !lines.is_interactive()) run_statement();
  if (exit_code_ != kAnswered) return exit_code_;
  return any_failed_ && !lines.is_interactive() ? kNotAnswered : kAnswered;
}

void Repl::handle(const std::string& line, LineSource& lines) {
  const std::string_view text = trimmed(line);
  if (statement_.empty() && text.empty()) return;
  if (statement_.empty() && text.starts_with('.')) {
    run_dot_command(text);
    return;
  }
  statement_ += line + '\n';
  if (!sql::is_complete_statement(statement_)) return;
  run_statement();
  // Ctrl-C at a script ends the script.
  if (!lines.is_interactive() && exit_code_ == kInterrupted) leaving_ = true;
  if (lines.is_interactive() && exit_code_ == kInterrupted) exit_code_ = kAnswered;
}

void Repl::run_statement() {
  const std::string sql = std::move(statement_);
  statement_.clear();
  const auto writer = output::make_writer(format_, sink_, {console_.width()});
  if (!writer) {
    failed(writer.error().text);
    return;
  }
  const auto done = run_sql(database_, sql, {**writer, sink_}, console_, interrupts_);
  if (done) return;
  const RunFailure& failure = done.error();
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
  } else if (name == ".mode") {
    if (const auto set = set_format(argument); !set) failed(set.error().text);
  } else {
    failed(fmt::format("{}: no such command (.help lists them)", name));
  }
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
