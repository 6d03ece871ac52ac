// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/command.h"

#include "cli/dot_command.h"
#include "cli/open_image.h"

namespace engram::cli {
namespace {

class DotCommandCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command = program.add_subcommand("command", "Run one of the shell's dot commands");
    add_image_arguments(*command, image_);
    command->add_option("COMMAND", line_, "The command with its arguments; .commands if not given");
    command->footer("\nExample:\n  engram command memory.lime '.task_tree --show-threads'");
    return command;
  }

  int run(const Console& console) override {
    auto image = OpenImage::open(image_, console);
    if (!image) {
      console.error(image.error().text);
      return kNotAnswered;
    }
    image->run_autostart(console);
    return run_one_dot_command(*image, image_.path, line_, console);
  }

 private:
  ImageSource image_;
  std::string line_ = ".commands";
};

}  // namespace

std::unique_ptr<Command> make_command_command() {
  return std::make_unique<DotCommandCommand>();
}

}  // namespace engram::cli
