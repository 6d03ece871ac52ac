// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// engram shell: SQL in and answers out, until the user leaves.

#include <memory>

#include "cli/command.h"

namespace engram::cli {

[[nodiscard]] std::unique_ptr<Command> make_shell_command();

}  // namespace engram::cli
