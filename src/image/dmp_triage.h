// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads what a small (triage) crash dump has behind its header.

#include "image/contents.h"
#include "image/dmp_layout.h"

namespace engram::image::dmp {

/// Fills in Facts::triage. `debugger_data` is where the crash header says that KDBG was. Errors:
/// the file ends inside the header of its parts. A list that does not lie in the file is left out
/// or ends there, with a notice.
[[nodiscard]] Result<void> read_triage(const FileView& file, FileOffset at,
                                       std::optional<VirtAddr> debugger_data, Contents& contents);

}  // namespace engram::image::dmp
