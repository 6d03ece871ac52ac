// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel's Xen devices are asked with: /dev/xen/privcmd (include/uapi/xen/privcmd.h) and
// /dev/xen/gntdev (include/uapi/xen/gntdev.h).

#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace engram::guest::xen_layout {

/// privcmd_mmapbatch_v2: puts frames of a domain into a range that was mapped from the device.
struct MapBatch {
  std::uint32_t count = 0;  ///< of frames
  std::uint16_t domain = 0;
  std::uint64_t address = 0;              ///< where the range begins
  const std::uint64_t* frames = nullptr;  ///< `count` frame numbers
  std::int32_t* errors = nullptr;         ///< out: for each frame 0 or a negative errno
};
static_assert(offsetof(MapBatch, address) == 8 && sizeof(MapBatch) == 16 + 2 * sizeof(void*));
inline constexpr unsigned long kMapBatch = _IOC(_IOC_NONE, 'P', 4, sizeof(MapBatch));

/// ioctl_gntdev_grant_ref.
struct GrantRef {
  std::uint32_t domain = 0;
  std::uint32_t ref = 0;
};

/// ioctl_gntdev_map_grant_ref, of which `refs` has `count` elements.
struct MapGrants {
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
  std::uint64_t index = 0;  ///< out: the offset to map the device at
  GrantRef refs[1];
};
static_assert(sizeof(MapGrants) == 24 && offsetof(MapGrants, refs) == 16);
inline constexpr unsigned long kMapGrants = _IOC(_IOC_NONE, 'G', 0, sizeof(MapGrants));

/// ioctl_gntdev_unmap_grant_ref: after the range has been unmapped.
struct UnmapGrants {
  std::uint64_t index = 0;
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
};
static_assert(sizeof(UnmapGrants) == 16);
inline constexpr unsigned long kUnmapGrants = _IOC(_IOC_NONE, 'G', 1, sizeof(UnmapGrants));

/// Pages of the Xen interface, whatever the host's are (include/xen/page.h).
inline constexpr unsigned kPageShift = 12;
/// A guest address with this bit is a grant reference and not a frame
/// (drivers/xen/grant-dma-ops.c, XEN_GRANT_DMA_ADDR_OFF).
inline constexpr std::uint64_t kGrantAddress = std::uint64_t{1} << 63;

}  // namespace engram::guest::xen_layout
