// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sequential access to virtual memory for searches.

#include <functional>
#include <span>

#include "paging/address_space.h"

namespace engram::paging {

/// Hands the bytes of `mappings` (sorted, as for_each_mapping() lists them) to `visit`, in address
/// order, as chunks of at most `chunk_size` bytes. Neighbouring mappings are read through: a chunk
/// begins with the last `overlap` bytes of the one before it where both are contiguous in virtual
/// memory, so that a pattern of overlap + 1 bytes is never missed and none is seen whole twice.
/// Pages that cannot be read are left out. A chunk_size that leaves no room beside the overlap is
/// raised to overlap + 4096 bytes. What is read is the physical memory that the mappings name.
/// Stops when `visit` returns false. The bytes are a private copy, valid until `visit` returns.
void for_each_chunk(const AddressSpace& space, std::span<const Mapping> mappings,
                    std::size_t overlap, const std::function<bool(VirtAddr, Bytes)>& visit,
                    std::size_t chunk_size = 256 * kKiB);

}  // namespace engram::paging
