// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The copies of guarded.cc where there is no assembler for them: a fault jumps back to the copy
// that it interrupted. Counts are exact to the page that faulted, as everywhere.

#include <cstddef>

namespace engram::mapping::detail {

/// Ends the blocking of SIGBUS that the entry of its handler began.
void unblock_faults();

#if !defined(__x86_64__)

/// Called by the signal handler: does not return if a copy of this thread was interrupted.
bool jump_out_of_fault();

/// Both return the number of bytes that were not copied or set.
std::size_t copy_or_fault(std::byte* to, const std::byte* from, std::size_t size);
std::size_t fill_or_fault(std::byte* to, std::byte value, std::size_t size);

#endif

}  // namespace engram::mapping::detail
