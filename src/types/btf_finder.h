// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where BTF lies in an image. Several candidates may exist (modules, BPF programs, an older
// kernel); each is validated by TypeDb::from_btf() before it is believed.

#include <span>
#include <vector>

#include "guest/memory.h"
#include "mapping/bulk.h"
#include "paging/address_space.h"
#include "types/type_db.h"

namespace engram::types {

struct BtfBlob {
  std::uint64_t address = 0;             ///< virtual or physical, as searched
  mapping::BulkVector<std::byte> bytes;  ///< exactly header + types + strings
};

/// All plausible blobs (magic, version, lengths that fit, strings that begin and end with NUL) of
/// at least `least_size` bytes in the mapped kernel image, largest first.
[[nodiscard]] std::vector<BtfBlob> find_btf(const paging::AddressSpace& space,
                                            std::span<const paging::Mapping> image,
                                            std::size_t least_size = 256 * kKiB);

/// The same in physical memory, for a kernel whose mapping is not known: only blobs that are
/// physically contiguous.
[[nodiscard]] std::vector<BtfBlob> find_btf(const guest::Memory& memory,
                                            std::size_t least_size = 256 * kKiB);

/// The blob at a known place.
/// Errors: not readable, no BTF header, lengths beyond `limit`.
[[nodiscard]] Result<BtfBlob> read_btf(const paging::AddressSpace& space, VirtAddr start,
                                       std::uint64_t limit = 64 * kMiB);

}  // namespace engram::types
