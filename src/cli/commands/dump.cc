// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/dump.h"

#include "cli/dump_files.h"
#include "cli/open_image.h"

namespace engram::cli {
namespace {

class DumpCommand final : public Command {
 public:
  CLI::App* declare(CLI::App& program) override {
    auto* command =
        program.add_subcommand("dump", "Write files out of the page cache into a directory");
    add_image_arguments(*command, image_);
    command
        ->add_option("DIRECTORY", request_.directory,
                     "Where to: made if it is not there; nothing in it is overwritten")
        ->required();
    command
        ->add_option("--where", request_.where,
                     "Which files: an SQL expression over the view cached_files")
        ->type_name("SQL");
    command->footer(
        "\nDIRECTORY/manifest.jsonl says for each file what is known of it. What was not in memory "
        "is a\nhole.\n\nExample:\n  engram dump memory.lime out --where \"path LIKE '/etc/%' OR "
        "tgid = 1\"");
    return command;
  }

  int run(const Console& console) override {
    auto image = OpenImage::open(image_, console);
    if (!image) {
      console.error(image.error().text);
      return kNotAnswered;
    }
    Interrupts interrupts(Interrupts::Mode::first);
    const auto dumped = dump_files(image->database(), request_, console, interrupts);
    if (!dumped) return report(dumped.error(), image_.path, console);
    output::FileSink sink(console.out, "standard output");
    auto written = sink.write(to_string(*dumped) + '\n');
    if (written) written = sink.flush();
    if (!written) return report(output_failure(sink, written.error()), image_.path, console);
    image->report_damage(console);
    return kAnswered;
  }

 private:
  ImageSource image_;
  DumpRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_dump_command() {
  return std::make_unique<DumpCommand>();
}

}  // namespace engram::cli
