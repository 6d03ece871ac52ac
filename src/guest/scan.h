// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sequential access to physical memory for searches.

#include <functional>

#include "guest/memory.h"

namespace engram::guest {

/// Hands all bytes that memory has in [first, last] to `visit`, in address order, as chunks of at
/// most `chunk_size` bytes. A chunk begins with the last `overlap` bytes of the one before it where
/// both are contiguous, so that a pattern of overlap + 1 bytes is never missed and none is seen
/// whole twice. Chunks never span an absent or unreadable byte. Stops when `visit` returns false.
/// Ranges that the image only declares to be zero are passed over like absent ones: there is
/// nothing to find in them, and a damaged file may declare more of them than could ever be visited.
/// The bytes are a private copy: they are valid, and do not change, until `visit` returns.
/// `overlap` must be smaller than `chunk_size`.
void for_each_chunk(const Memory& memory, PhysAddr first, PhysAddr last, std::size_t overlap,
                    const std::function<bool(PhysAddr, Bytes)>& visit,
                    std::size_t chunk_size = 256 * kKiB);

/// Hands the address of each frame of 4 KiB that memory has stored to `visit`, in ascending order,
/// until it returns false. What is only declared to be zero, and holes of files, are passed over
/// where they are large: there is nothing to find in them, and a file of no bytes may have any
/// number. Ends, too, with end_if_interrupted().
void for_each_stored_page(const Memory& memory, const std::function<bool(PhysAddr)>& visit);

}  // namespace engram::guest
