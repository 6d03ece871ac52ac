// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The --format flag that several commands have.

#include <CLI/CLI.hpp>
#include <string>

#include "output/writer.h"

namespace engram::cli {

inline void add_format_option(CLI::App& command, std::string& format) {
  const auto names = output::format_names();
  command
      .add_option("--format", format,
                  "How results are written; table, for people, unless said otherwise")
      ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())))
      ->type_name("NAME");
}

}  // namespace engram::cli
