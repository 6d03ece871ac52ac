// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Overlapping regions made disjoint.

#include "guest/memory.h"

namespace engram::image {

/// Whether each region begins behind the end of the one before it.
[[nodiscard]] bool disjoint_and_sorted(const guest::Regions& regions);

/// The same bytes as disjoint regions in address order: where several regions have an address, the
/// first of them in the list serves it. At most twice as many regions come out as went in; n log n.
/// No region may be empty or exceed 2^64.
[[nodiscard]] guest::Regions without_overlap(const guest::Regions& regions);

}  // namespace engram::image
