// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Page tables of AArch64 processors: stage 1 of the translation at EL1 and EL0.

#include "paging/format.h"

namespace engram::paging {

/// The format with pages of 2^page_bits bytes (12, 14 or 16) for addresses of `address_bits` (64 -
/// TCR_EL1.TnSZ): 36 to 48, or 52, which is FEAT_LVA with pages of 64 KiB and FEAT_LPA2 with
/// smaller ones. Null for any other. The uppermost byte of an address is a tag. A page whose access
/// flag is clear is there.
[[nodiscard]] const Format* find_arm64_format(unsigned page_bits, unsigned address_bits);

}  // namespace engram::paging
