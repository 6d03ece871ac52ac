// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Text that the user hands over as a file or on standard input.

#include <cstdio>
#include <string>

#include "base/result.h"

namespace engram::cli {

/// Errors: it cannot be read, it is longer than 64 MiB; `name` is in the text.
Result<std::string> read_all(std::FILE* file, const std::string& name);

/// Errors: as read_all(), and: it cannot be opened.
Result<std::string> read_file(const std::string& path);

}  // namespace engram::cli
