// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The types of a PDB (its TPI stream) as BTF, which TypeDb reads: one way to look up members.

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "types/btf_writer.h"

namespace engram::types::pdb {

/// Structures, unions, enumerations, arrays, pointers and what they are made of; of a structure of
/// C++ its data and its base classes. A member that does not lie in its structure (an empty base)
/// is left out. Functions have no BTF. Errors: a record that is cut or unknown inside of a list of
/// members, with its type number.
[[nodiscard]] Result<btf::Converted> types_as_btf(Bytes stream);

}  // namespace engram::types::pdb
