// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/tables.h"

#include <array>

#include "cli/format_option.h"
#include "cli/run_sql.h"
#include "sql/functions.h"

namespace engram::cli {
namespace {

constexpr std::string_view kIntroduction =
    "# Tables\n\n"
    "Made by `engram tables --markdown`; not to be edited.\n\n"
    "A column marked *key* makes a query cheaper if it fixes the column with `=`, `IN` or a join. "
    "A column\n"
    "marked *hidden* is not part of `SELECT *`, but can be named. Addresses have the type POINTER: "
    "they are\n"
    "signed 64-bit integers that are printed as 0x....\n";

/// In a cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

std::string meaning(const sql::RelationColumn& column) {
  std::string text;
  if (column.key) text += "*key.* ";
  if (column.hidden) text += "*hidden.* ";
  return text + cell(column.doc);
}

std::string markdown(const sql::Relation& relation) {
  std::string text =
      fmt::format("\n## {}{}\n\n{}\n\n| column | type | meaning |\n|---|---|---|\n", relation.name,
                  relation.kind == sql::Relation::Kind::view ? " (view)" : "", relation.doc);
  for (const auto& column : relation.columns) {
    text += fmt::format("| `{}` | {} | {} |\n", column.name, column.type, meaning(column));
  }
  return text;
}

std::string markdown(const std::vector<sql::Relation>& relations) {
  std::string text(kIntroduction);
  for (const auto& relation : relations) text += markdown(relation);
  text += "\n# Functions\n\n| function | meaning |\n|---|---|\n";
  for (const auto& [usage, doc] : sql::function_docs()) {
    text += fmt::format("| `{}` | {} |\n", usage, cell(doc));
  }
  return text;
}

class TablesCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command = program.add_subcommand("tables", "List the tables and views, or document them");
    command->add_flag("--markdown", markdown_, "All columns and functions as Markdown");
    add_format_option(*command, format_);
    return command;
  }

  int run(const Console& console) override {
    const auto database = sql::Database::create_without_image(tables::all_tables());
    if (!database) {
      console.error(database.error().text);
      return kNotAnswered;
    }
    output::FileSink sink(console.out, "standard output");
    const auto relations = (*database)->relations();
    const auto written =
        markdown_ ? write_markdown(relations, sink) : write_list(relations, sink, console.width());
    if (written) return kAnswered;
    const RunFailure failure = output_failure(sink, written.error());
    if (!failure.text.empty()) console.error(failure.text);
    return failure.exit_code;
  }

 private:
  static Result<void> write_markdown(const std::vector<sql::Relation>& relations,
                                     output::Sink& sink) {
    ENGRAM_CHECK(sink.write(markdown(relations)));
    return sink.flush();
  }

  Result<void> write_list(const std::vector<sql::Relation>& relations, output::Sink& sink,
                          std::size_t width) const {
    ENGRAM_TRY(const auto writer, output::make_writer(format_, sink, {width}));
    const std::array<sql::ResultColumn, 3> columns{
        {{"name", tables::Type::text}, {"kind", tables::Type::text}, {"doc", tables::Type::text}}};
    ENGRAM_CHECK(writer->begin(columns));
    for (const auto& relation : relations) {
      const std::array<tables::Value, 3> row{relation.name, std::string(to_string(relation.kind)),
                                             relation.doc};
      ENGRAM_CHECK(writer->row(row));
    }
    return writer->end();
  }

  bool markdown_ = false;
  std::string format_ = "table";
};

}  // namespace

std::unique_ptr<Command> make_tables_command() {
  return std::make_unique<TablesCommand>();
}

}  // namespace engram::cli
