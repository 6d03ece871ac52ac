// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Page tables of x86-64 processors in long mode.

#include "paging/format.h"

namespace engram::paging {

/// The format with 4 or 5 levels (CR4.LA57); null for any other number. With Software::linux_kernel
/// pages without any right are there that the processor does not take for present.
[[nodiscard]] const Format* find_x86_64_format(unsigned levels, Software software = Software::any);

}  // namespace engram::paging
