// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// engram command: one of the shell's dot commands in, its answer out.

#include <memory>

#include "cli/command.h"

namespace engram::cli {

[[nodiscard]] std::unique_ptr<Command> make_command_command();

}  // namespace engram::cli
