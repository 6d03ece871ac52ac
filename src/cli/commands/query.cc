// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/query.h"

#include <CLI/Validators.hpp>
#include <optional>

#include "cli/dot_command.h"
#include "cli/format_option.h"
#include "cli/input.h"
#include "cli/open_image.h"
#include "cli/run_sql.h"
#include "cli/time_limit.h"

namespace engram::cli {
namespace {

constexpr double kLongest = 1e6;  // seconds

class QueryCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command = program.add_subcommand("query", "Run SQL on an image and print the result");
    add_image_arguments(*command, image_);
    auto* sql = command->add_option(
        "SQL", sql_,
        "The statements, or one dot command; - or nothing: they are read from standard input");
    command->add_option("-f,--file", file_, "A file with the statements")
        ->type_name("FILE")
        ->excludes(sql);
    add_format_option(*command, format_);
    command->add_flag(
        "--strict", strict_,
        "Exit with 1 if anything in the image that the answer needs could not be read");
    command->add_option("--timeout", timeout_, "How long the statements may take altogether")
        ->type_name("SECONDS")
        ->check([](const std::string& text) {  // CLI::Range() lets "nan" through
          double seconds = -1;
          const bool is_good = CLI::detail::lexical_cast(text, seconds) && seconds >= 0;
          return is_good && seconds <= kLongest
                     ? std::string()
                     : fmt::format("expected 0 to {:.0f} seconds, not {}", kLongest, text);
        });
    command->footer(
        "\nExample:\n  engram query memory.lime \"SELECT pid, comm FROM tasks\" --format json");
    return command;
  }

  int run(const Console& console) override {
    if (file_.empty() && sql_.empty() && console.in_is_terminal) {
      console.error("query: no SQL: expected it behind IMAGE, in --file FILE or on standard input");
      return kUsage;
    }
    const auto sql = statements(console);
    if (!sql) return failed(console, sql.error().text);
    const bool is_dot = is_dot_command(*sql);
    if (is_dot && (timeout_ || !format_.empty())) {
      console.error("query: --timeout and --format are for SQL, not for dot commands");
      return kUsage;
    }
    auto image = OpenImage::open(image_, console);
    if (!image) return failed(console, image.error().text);
    const TimeLimit limit(image->database(), timeout_);
    image->run_autostart(console);
    if (is_dot) {
      return if_whole(console, run_one_dot_command(*image, image_.path, *sql, console), *image);
    }

    output::FileSink sink(console.out, "standard output");
    const auto writer = output::make_writer(image->format(format_), sink, {console.width()});
    if (!writer) return failed(console, writer.error().text);
    Interrupts interrupts(Interrupts::Mode::first);
    const auto done = run_sql(image->database(), *sql, {**writer, sink}, console, interrupts);
    if (!done && limit.is_over() && done.error().exit_code == kNotAnswered) {
      return failed(console, fmt::format("not answered within {} s", *timeout_));
    }
    if (!done) return report(done.error(), image_.path, console);
    if (*done == 0) {
      console.error("query: no statement in what was given as SQL");
      return kUsage;
    }
    return if_whole(console, kAnswered, *image);
  }

 private:
  /// `exit_code`, unless the answer may lack something and --strict is given.
  int if_whole(const Console& console, int exit_code, OpenImage& image) const {
    const bool is_whole = image.report_damage(console);
    if (exit_code != kAnswered || !strict_ || is_whole) return exit_code;
    return failed(console, "--strict: the answer may lack something");
  }

  static int failed(const Console& console, const std::string& text) {
    console.error(text);
    return kNotAnswered;
  }

  Result<std::string> statements(const Console& console) const {
    if (!file_.empty()) return read_file(file_);
    if (!sql_.empty() && sql_ != "-") return sql_;
    return read_all(console.in, "standard input");
  }

  ImageSource image_;
  std::string sql_;
  std::string file_;
  std::string format_;
  bool strict_ = false;
  std::optional<double> timeout_;
};

}  // namespace

std::unique_ptr<Command> make_query_command() {
  return std::make_unique<QueryCommand>();
}

}  // namespace engram::cli
