// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A whole regular file as one mapping: how image files are opened.

#include <string>

#include "base/result.h"
#include "mapping/mapping.h"

namespace engram::mapping {

/// Read-only, as long as the file is now. Share::shared shows what others write to the file later.
/// The file may be truncated while it is mapped, and its disk may fail: unsafe_exclusive_bytes()
/// are good as addresses for guarded.h, and for nothing else. Errors, as text that names the file:
/// those of File::open(); the file is empty; out of address space.
Result<Mapping<ReadOnly>> map_whole_file(const std::string& path, Share share = Share::private_);

}  // namespace engram::mapping
