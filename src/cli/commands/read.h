// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// engram read: an address in, the bytes there out.

#include <memory>

#include "cli/command.h"

namespace engram::cli {

[[nodiscard]] std::unique_ptr<Command> make_read_command();

}  // namespace engram::cli
