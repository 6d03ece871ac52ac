// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <strings.h>

#include "cli/command.h"
#include "cli/dot_command.h"

namespace engram::cli {

const DotCommand& schema_command();
const DotCommand& tables_command();

namespace {

DotOutcome list_tables(DotContext& context, const Words& words) {
  CLI::App arguments;
  ENGRAM_TRY(const bool parsed, parse_words(context, tables_command(), arguments, words));
  if (!parsed) return {};
  std::string text;
  for (const auto& relation : context.image.database().relations()) text += relation.name + '\n';
  return print(context, text);
}

DotOutcome show_schema(DotContext& context, const Words& words) {
  std::string name;
  CLI::App arguments;
  arguments.add_option("NAME", name, "Of a table or view; all of them unless it is given");
  ENGRAM_TRY(const bool parsed, parse_words(context, schema_command(), arguments, words));
  if (!parsed) return {};
  std::string text;
  for (const auto& relation : context.image.database().relations()) {
    if (!name.empty() && ::strcasecmp(relation.name.c_str(), name.c_str()) != 0) continue;
    if (!text.empty()) text += '\n';
    text += schema_text(relation);
  }
  if (text.empty()) {
    return failed_with(kNotAnswered, "{}: no such table or view (.tables lists them)", name);
  }
  return print(context, text);
}

}  // namespace

const DotCommand& schema_command() {
  static constexpr DotCommand kCommand{
      ".schema", "[NAME]", "the columns of all tables and views, or of one, with what they mean",
      show_schema};
  return kCommand;
}

const DotCommand& tables_command() {
  static constexpr DotCommand kCommand{".tables", "", "list the tables and views", list_tables};
  return kCommand;
}

}  // namespace engram::cli
