// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// engram convert: an image in, the same memory in a file of another format out.

#include <memory>

#include "cli/command.h"

namespace engram::cli {

[[nodiscard]] std::unique_ptr<Command> make_convert_command();

}  // namespace engram::cli
