// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Dot commands: a line such as ".schema tasks" in, text on the console or a file of the host out.
//
// They are run by the shell, by `engram command IMAGE '.schema tasks'` and by `engram query`.
// One is a file in dot/ with an entry (name, arguments, what it does, a function) and a line in
// dot_commands.def. The function states what its arguments are with CLI11, as the program's own
// commands do, and so has --help and errors of usage:
//
//   DotOutcome run(DotContext& context, const Words& words) {
//     std::string folder;
//     CLI::App arguments;
//     arguments.add_option("FOLDER", folder, "Where the files go")->required();
//     ENGRAM_TRY(const bool parsed, parse_words(context, dump_command(), arguments, words));
//     if (!parsed) return {};  // --help has been printed
//     ...
//     return print(context, text);  // or: return failed_with(kNotAnswered, "{}: {}", folder, why);
//   }
//   const DotCommand& dump_command() {
//     static constexpr DotCommand kCommand{".dump", "FOLDER", "write the files ...", run};
//     return kCommand;
//   }

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/interrupts.h"
#include "cli/open_image.h"
#include "cli/result_file.h"
#include "cli/run_sql.h"
#include "output/writer.h"

namespace engram::cli {

/// What dot commands change in the shell.
struct ShellState {
  std::string format = "table";  ///< of results
  bool shows_time = false;
  std::string pager;                   ///< a command; empty: none
  std::unique_ptr<ResultFile> once;    ///< of the next result; null: none
  std::unique_ptr<ResultFile> output;  ///< of all results; null: the terminal
  std::string script;                  ///< a file whose lines are to be run next; empty: none
  bool is_leaving = false;
};

/// What a dot command works with.
struct DotContext {
  OpenImage& image;
  const Console& console;
  /// A long step ends with interrupted() when take() says so.
  Interrupts& interrupts;
  output::Sink& out;
  ShellState* shell = nullptr;  ///< null outside of the shell
};

/// Errors: exit code and text, as of a statement.
using DotOutcome = Result<void, RunFailure>;
using Words = std::vector<std::string>;  ///< behind the command's name

struct DotCommand {
  enum class Where : std::uint8_t { everywhere, shell };

  std::string_view name;       ///< ".carve"
  std::string_view arguments;  ///< "[NAME]", for people; empty if it takes none
  std::string_view doc;        ///< what it does, in half a line
  DotOutcome (*run)(DotContext& context, const Words& words);
  Where where = Where::everywhere;
};

/// In the order of dot_commands.def.
[[nodiscard]] std::span<const DotCommand* const> dot_commands();

/// Case of the name does not matter. Null if there is none.
[[nodiscard]] const DotCommand* find_dot_command(std::string_view name);

/// Whether the text is a dot command and not SQL.
[[nodiscard]] bool is_dot_command(std::string_view text);

/// Whether the line is one of those that only the shell has: they say how results are shown, and
/// have none themselves.
[[nodiscard]] bool is_shell_setting(std::string_view line);

/// Runs one line. A guest that runs is looked at anew. Errors: no such command, wrong words
/// (kUsage), those of the command.
DotOutcome run_dot_command(DotContext& context, std::string_view line);

/// The same for a program that runs this line and nothing else: says what went wrong, and what may
/// be missing from the answer. Returns the exit code. `path` is the image's.
int run_one_dot_command(OpenImage& image, const std::string& path, std::string_view line,
                        const Console& console);

// What the commands have in common.

/// Sets what was declared on `arguments`. False if --help was among the words and has been
/// answered. Errors: kUsage.
Result<bool, RunFailure> parse_words(DotContext& context, const DotCommand& command,
                                     CLI::App& arguments, const Words& words);

/// Writes to the context's output. Errors: it could not be written.
DotOutcome print(DotContext& context, std::string_view text);

[[nodiscard]] RunFailure interrupted();

/// An error that is about the image, unless it is one of usage.
template <class... Args>
[[nodiscard]] tl::unexpected<RunFailure> failed_with(int exit_code,
                                                     fmt::format_string<Args...> text,
                                                     Args&&... args) {
  return tl::unexpected(
      RunFailure{exit_code, fmt::format(text, std::forward<Args>(args)...), exit_code == kUsage});
}

/// The text without blanks at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace engram::cli
