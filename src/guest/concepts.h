// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What guest memories have in common, as concepts: code that takes a ReadableMemory reads the image
// of a dead machine, the RAM of a running one, and what a device sees through its IOMMU.

#include <concepts>
#include <cstdint>

#include "guest/any_region.h"
#include "guest/memory.h"
#include "guest/region_collection.h"

namespace engram::guest {

/// Physical memory: regions that can be found by address.
template <class M>
concept Backend = std::copyable<M> && requires(const M& memory, PhysAddr address) {
  requires ReadableRegion<typename M::RegionType>;
  { memory.find(address) } -> std::same_as<const typename M::RegionType*>;
  { memory.size() } -> std::same_as<std::size_t>;
  { memory.regions() } -> std::same_as<std::span<const typename M::RegionType>>;
};

/// What MemoryAccess gives.
template <class M>
concept ReadableMemory = std::copyable<M> &&
    requires(const M& memory, PhysAddr address, std::uint64_t size, MutableBytes to,
             Permissions access) {
  { memory.check(address, size, access) } -> std::same_as<bool>;
  { memory.read(address, to) } -> std::same_as<Transfer>;
  { memory.read_exact(address, to) } -> std::same_as<MemoryResult<void>>;
  { memory.template load<std::uint32_t>(address) } -> std::same_as<MemoryResult<std::uint32_t>>;
  { memory.slice(address, size) } -> std::same_as<MemoryResult<ConstVolatileSlice>>;
  memory.slices(address, size);
};

template <class M>
concept WritableMemory = ReadableMemory<M> &&
    requires(const M& memory, PhysAddr address, std::uint64_t size, Bytes from) {
  { memory.write(address, from) } -> std::same_as<Transfer>;
  { memory.write_exact(address, from) } -> std::same_as<MemoryResult<void>>;
  { memory.store(address, std::uint32_t{}) } -> std::same_as<MemoryResult<void>>;
  { memory.mutable_slice(address, size) } -> std::same_as<MemoryResult<typename M::MutableSlice>>;
};

static_assert(Backend<Memory> && ReadableMemory<Memory> && !WritableMemory<Memory>);
static_assert(Backend<RegionCollection<MappedRegion<>>> &&
              WritableMemory<RegionCollection<MappedRegion<>>>);
static_assert(WritableMemory<RegionCollection<AnyRegion>>);
static_assert(ReadableMemory<RegionCollection<ReadOnlyMappedRegion>> &&
              !WritableMemory<RegionCollection<ReadOnlyMappedRegion>>);

}  // namespace engram::guest
