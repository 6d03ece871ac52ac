// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A VMware machine's memory in one file (.vmem) and what is known of it in another (.vmss, .vmsn).

#include "base/result.h"
#include "image/contents.h"

namespace engram::image::vmware {

/// Whether a state file has no memory in it: there must be a .vmem file. True also of one that is
/// damaged.
[[nodiscard]] bool needs_memory(const FileView& state);

/// Errors: those of a damaged state; the state has the memory itself; no byte of it is in `memory`.
[[nodiscard]] Result<Contents> open_pair(const FileView& state, const FileView& memory);

}  // namespace engram::image::vmware
