// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Program databases (PDB) of Microsoft's linkers: types and addresses of a program.

#include "base/bytes.h"
#include "base/result.h"
#include "types/symbol_file.h"

namespace engram::types {

[[nodiscard]] bool is_pdb(Bytes file);

/// Errors: what is wrong, in which stream or record, and what was expected. Without a stream of
/// symbols there are no addresses.
[[nodiscard]] Result<SymbolFile> read_pdb(Bytes file);

}  // namespace engram::types
