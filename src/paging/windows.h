// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Page tables as Windows fills them: what the processor takes for not present has a meaning.

#include "paging/format.h"

namespace engram::paging {

/// The format of Windows on x86-64 (4 or 5 levels), x86 (2 or 3) or arm64 (4: pages of 4 KiB, one
/// root for both ends of the space); null for any other. Of entries that are not present only
/// those of level 1 have a meaning. Pages in transition count as mapped: they are on their way
/// out, and still there. Their rights are those of the protection that the entry keeps.
[[nodiscard]] const Format* find_windows_format(const Mode& mode);

}  // namespace engram::paging
