// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/info.h"

#include <array>
#include <vector>

#include "cli/format_option.h"
#include "cli/open_image.h"
#include "cli/run_sql.h"

namespace engram::cli {
namespace {

/// Turns rows on their side, a line a column: for results of one wide row.
class SidewaysWriter final : public output::Writer {
 public:
  explicit SidewaysWriter(output::Writer& writer) : writer_(writer) {}

  Result<void> begin(std::span<const sql::ResultColumn> columns) override {
    columns_.assign(columns.begin(), columns.end());
    const std::array<sql::ResultColumn, 2> sideways{
        {{"fact", std::nullopt}, {"value", std::nullopt}}};
    return writer_.begin(sideways);
  }
  Result<void> row(std::span<const tables::Value> values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool is_null = std::holds_alternative<tables::Null>(values[i]);
      const std::array<tables::Value, 2> fact{
          columns_[i].name,
          is_null ? tables::Value(tables::Null{}) : output::cell_text(columns_[i], values[i])};
      ENGRAM_CHECK(writer_.row(fact));
    }
    return {};
  }
  Result<void> end() override { return writer_.end(); }
  Result<void> cut() override { return writer_.cut(); }

 private:
  output::Writer& writer_;
  std::vector<sql::ResultColumn> columns_;
};

class InfoCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command = program.add_subcommand("info", "Say what an image is and what it holds");
    add_image_arguments(*command, image_);
    add_format_option(*command, format_);
    return command;
  }

  int run(const Console& console) override {
    auto image = OpenImage::open(image_, console);
    if (!image) {
      console.error(image.error().text);
      return kNotAnswered;
    }
    const std::string format = image->format(format_);
    output::FileSink sink(console.out, "standard output");
    const auto writer = output::make_writer(format, sink, {console.width()});
    if (!writer) {
      console.error(writer.error().text);
      return kNotAnswered;
    }
    SidewaysWriter sideways(**writer);
    output::Writer& facts = format == "table" ? sideways : **writer;
    Interrupts interrupts(Interrupts::Mode::first);
    auto done =
        run_sql(image->database(), "SELECT * FROM image_info", {facts, sink}, console, interrupts);
    const auto& known = image->image().facts();
    std::vector<const char*> others;
    if (!known.header.empty()) others.push_back("SELECT * FROM image_header");
    if (known.crash && !known.crash->secondary_data.empty())
      others.push_back("SELECT * FROM secondary_data");
    others.push_back("SELECT * FROM image_ranges");
    for (const char* sql : others) {
      if (done) done = run_sql(image->database(), sql, {**writer, sink}, console, interrupts);
    }
    if (!done) return report(done.error(), image_.path, console);
    image->report_damage(console);
    return kAnswered;
  }

 private:
  ImageSource image_;
  std::string format_;
};

}  // namespace

std::unique_ptr<Command> make_info_command() {
  return std::make_unique<InfoCommand>();
}

}  // namespace engram::cli
