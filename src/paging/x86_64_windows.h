// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Page tables of x86-64 processors as Windows fills them: what the processor takes for not present
// has a meaning.

#include "paging/format.h"

namespace engram::paging {

/// The format with 4 or 5 levels; null for any other number. Of entries that are not present only
/// those of level 1 have a meaning. Pages in transition count as mapped: they are on their way out,
/// and still there. Their rights are those of the protection that the entry keeps.
[[nodiscard]] const Format* find_x86_64_windows_format(unsigned levels);

}  // namespace engram::paging
