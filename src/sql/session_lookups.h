// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The SQL functions' look-ups, answered by the kernel of a session.

#include "kernel/session.h"
#include "sql/guest_lookups.h"

namespace engram::sql {

/// The session must outlive what is returned. The kernel is looked for when a function needs it.
[[nodiscard]] GuestLookups session_lookups(kernel::Session& session);

}  // namespace engram::sql
