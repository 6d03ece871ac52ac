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
/// Ranges that the image only declares to be zero, and large holes of files, are passed over like
/// absent ones: there is nothing to find in them, and a file may have more of them than could ever
/// be visited.
/// The bytes are a private copy: they are valid, and do not change, until `visit` returns.
/// `overlap` must be smaller than `chunk_size`.
void for_each_chunk(const Memory& memory, PhysAddr first, PhysAddr last, std::size_t overlap,
                    const std::function<bool(PhysAddr, Bytes)>& visit,
                    std::size_t chunk_size = 256 * kKiB);

/// A frame of 4 KiB that memory has stored.
struct StoredPage {
  PhysAddr frame;
  std::uint64_t number = 0;  ///< of stored frames before it
};

/// Where a search for pages ends, found or not.
struct PageLimits {
  PhysAddr last{~std::uint64_t{0}};         ///< frame
  std::uint64_t pages = ~std::uint64_t{0};  ///< that are looked at
};

/// Hands each frame of 4 KiB that memory has stored and for which `may_be` is true to `visit`, in
/// ascending order, until it returns false. `may_be` is asked on all processors at once, ahead of
/// `visit`. What is only declared to be zero, and holes of files, are passed over where they are
/// large: there is nothing to find in them, and a file of no bytes may have any number. Ends, too,
/// with end_if_interrupted().
void for_each_stored_page(const Memory& memory, const PageLimits& limits,
                          const std::function<bool(PhysAddr)>& may_be,
                          const std::function<bool(const StoredPage&)>& visit);

/// Hands the address of each stored word, at a multiple of four, that equals `word` to `visit`, in
/// ascending order, until it returns false. Looks for them on all processors at once; passes over
/// the same, and ends the same way, as for_each_stored_page().
void for_each_word(const Memory& memory, std::uint32_t word,
                   const std::function<bool(PhysAddr)>& visit);

}  // namespace engram::guest
