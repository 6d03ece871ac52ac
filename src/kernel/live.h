// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sessions over the RAM of running guests.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "kernel/session.h"

namespace engram::kernel {

/// Opens the shared file that is the RAM of a QEMU guest. How much of it lies below the PCI hole is
/// `below_4g`; without, the layouts of QEMU's machines are tried until the kernel that is found
/// under one says that its memory ends where the layout ends (max_pfn). If none is right, what the
/// kernel says gives the layout: max-ram-below-4g may be anything.
/// Errors: those of Image::open_live(); a kernel is there, but no layout agrees with it.
/// Without any kernel the session has the first layout, and its linux_kernel() says why.
Result<std::unique_ptr<Session>> open_live(const std::string& path,
                                           std::optional<std::uint64_t> below_4g);

}  // namespace engram::kernel
