// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// `engram dump`: files out of the page cache into a directory.

#include <memory>

#include "cli/command.h"

namespace engram::cli {

[[nodiscard]] std::unique_ptr<Command> make_dump_command();

}  // namespace engram::cli
