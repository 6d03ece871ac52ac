// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Intermediate symbol files (ISF), JSON: what volatility3 has of a kernel.

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "types/symbol_file.h"

namespace engram::types {

/// Takes the text, not compressed. A member that does not lie in its structure, and one of a type
/// that is not described, are left out. Errors: no JSON (with the place), or not of this form; of a
/// kernel that is not of 64 bits.
[[nodiscard]] Result<SymbolFile> read_isf(std::vector<std::byte> text);

}  // namespace engram::types
