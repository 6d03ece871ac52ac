// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/dot_command.h"
#include "kernel/linux/system.h"
#include "output/text.h"

namespace engram::cli {

const DotCommand& system_version_command();

namespace {

std::string line(std::string_view label, const std::optional<std::string>& value) {
  return value ? fmt::format("{:<16}{}\n", label, output::terminal_text(*value)) : std::string();
}

DotOutcome run(DotContext& context, const Words& words) {
  CLI::App arguments;
  ENGRAM_TRY(const bool parsed, parse_words(context, system_version_command(), arguments, words));
  if (!parsed) return {};
  const auto kernel = context.image.session().linux_kernel();
  if (!kernel) return failed_with(kNotAnswered, "{}", kernel.error().text);
  const auto names = kernel::read_utsname(**kernel);
  const std::string text = line("System version:", names.version) +
                           line("Kernel version:", names.release) +
                           line("Architecture:", names.machine);
  if (text.empty()) {
    return failed_with(kNotAnswered,
                       "the names of the kernel cannot be read: expected them in init_uts_ns");
  }
  return print(context, text);
}

}  // namespace

const DotCommand& system_version_command() {
  static constexpr DotCommand kCommand{".system_version", "",
                                       "release, version and architecture of the kernel", run};
  return kCommand;
}

}  // namespace engram::cli
