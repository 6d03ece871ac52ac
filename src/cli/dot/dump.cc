// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/dot_command.h"
#include "cli/dump_files.h"

namespace engram::cli {

const DotCommand& dump_command();

namespace {

DotOutcome run(DotContext& context, const Words& words) {
  DumpRequest request;
  CLI::App arguments;
  arguments
      .add_option("DIRECTORY", request.directory,
                  "Where to: made if it is not there; nothing in it is overwritten")
      ->required();
  arguments.add_option("--where", request.where,
                       "Which files: an SQL expression over the view cached_files, in quotes");
  ENGRAM_TRY(const bool parsed, parse_words(context, dump_command(), arguments, words));
  if (!parsed) return {};
  ENGRAM_TRY(const auto dumped,
             dump_files(context.image.database(), request, context.console, context.interrupts));
  return print(context, to_string(dumped) + '\n');
}

}  // namespace

const DotCommand& dump_command() {
  static constexpr DotCommand kCommand{
      ".dump", "DIRECTORY [--where SQL]",
      "write files out of the page cache into a directory: those of cached_files, or some", run};
  return kCommand;
}

}  // namespace engram::cli
