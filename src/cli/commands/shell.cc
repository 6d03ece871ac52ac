// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/shell.h"

#include "cli/format_option.h"
#include "cli/line_editor.h"
#include "cli/open_image.h"
#include "cli/pager.h"
#include "cli/repl.h"

namespace engram::cli {
namespace {

class ShellCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command = program.add_subcommand("shell", "Ask an image many questions");
    add_image_arguments(*command, image_);
    add_format_option(*command, format_);
    command->footer("\nStatements and dot commands may also come from standard input.");
    return command;
  }

  int run(const Console& console) override {
    auto image = OpenImage::open(image_, console);
    if (!image) return failed(console, image.error());
    image->run_autostart(console);
    sql::Database& database = image->database();
    Interrupts interrupts(Interrupts::Mode::only_ctrl_c);
    Repl repl(*image, console, interrupts);
    if (const auto set = repl.set_format(image->format(format_)); !set)
      return failed(console, set.error());
    if (!console.in_is_terminal) {
      FileLines lines(console.in, "standard input");
      return repl.run(lines);
    }
    const auto complete_line = [&database](std::string_view line) {
      return complete(line, database.relations());
    };
    const auto editor =
        LineEditor::create(console, interrupts, complete_line, image->history_path());
    if (!editor) return failed(console, editor.error());
    repl.set_pager(usual_pager());
    return repl.run(**editor);
  }

 private:
  static int failed(const Console& console, const Error& error) {
    console.error(error.text);
    return kNotAnswered;
  }

  ImageSource image_;
  std::string format_;
};

}  // namespace

std::unique_ptr<Command> make_shell_command() {
  return std::make_unique<ShellCommand>();
}

}  // namespace engram::cli
