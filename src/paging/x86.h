// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Page tables of x86 processors in 32-bit protected mode.

#include "paging/format.h"

namespace engram::paging {

/// The format with 2 levels (entries of 4 bytes, pages of 4 KiB and 4 MiB) or 3 (CR4.PAE: entries
/// of 8 bytes, pages of 4 KiB and 2 MiB); null for any other number.
[[nodiscard]] const Format* find_x86_format(unsigned levels);

}  // namespace engram::paging
