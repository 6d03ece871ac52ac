// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The words of a command line, as a shell splits it.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace engram::cli {

/// Words stand between blanks. 'all of this' and "this, with \" and \\" are parts of words; outside
/// of quotes a backslash takes the next character as it is. Nothing is expanded.
/// Errors: a quote is not closed; a backslash is the last character.
Result<std::vector<std::string>> split_words(std::string_view line);

}  // namespace engram::cli
