// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Virtual memory of whichever kernel the image holds.

#include <optional>

#include "kernel/session.h"
#include "paging/address_space.h"

namespace engram::kernel {

/// The space behind `root`, or the kernel's own; of an architecture whose kernel is not read, as
/// the headers say (foreign.h). Errors: the image has no kernel; nothing says where its root is; a
/// root for a small dump, which has no page tables.
Result<paging::AddressSpace> space_of(Session& session,
                                      std::optional<PhysAddr> root = std::nullopt);

}  // namespace engram::kernel
