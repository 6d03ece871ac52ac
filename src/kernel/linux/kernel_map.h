// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a Linux kernel may be mapped in an image: what only the architecture knows about finding a
// kernel.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "image/image.h"
#include "paging/address_space.h"
#include "types/symbols.h"

namespace engram::kernel {

/// A page-table root under which something that looks like a kernel image is mapped.
struct KernelMap {
  paging::Mode mode;
  PhysAddr root;
  std::vector<paging::Mapping> image;  ///< the mappings of the kernel image, sorted
  std::string how;                     ///< where the root comes from, for people
};

/// Facts of the memory layout that tables show, each with its source.
struct MemoryLayout {
  std::optional<VirtAddr> direct_map;  ///< virtual address of physical address 0
  std::string direct_map_source;
  std::optional<VirtAddr> page_array;  ///< struct page of the frame at physical address 0 (vmemmap)
  std::optional<std::uint64_t>
      kaslr_shift;  ///< bytes that the image was moved from its link address
  std::string kaslr_source;
};

/// How far to look for a kernel.
enum class Effort : std::uint8_t {
  all,    ///< as long as there is memory
  quick,  ///< what notes name, and the first MiB, where the kernel's own trampoline is
};

/// Offers candidates until `accept` returns true: first roots that the image's notes name, then
/// those that a scan of physical memory finds, in order of their address. Says in the diagnostics
/// what was tried, if all was.
void for_each_kernel_map(const image::Image& image, Diagnostics& diagnostics,
                         const std::function<bool(const KernelMap&)>& accept,
                         Effort effort = Effort::all);

/// The kernel's own root (init_mm's), given its symbols and a root that maps at least the kernel
/// image. Nothing if the symbols do not name it or it does not map the image to the same place.
std::optional<KernelMap> kernel_root(const guest::Memory& memory, const KernelMap& found,
                                     const types::SymbolTable& symbols);

/// `space` must have the kernel's own root; `vmcoreinfo` is the text of the kernel's VMCOREINFO, if
/// it is known.
MemoryLayout memory_layout(const paging::AddressSpace& space, const KernelMap& map,
                           const types::SymbolTable& symbols,
                           const std::optional<std::string>& vmcoreinfo);

/// The value of a KEY=VALUE line of a VMCOREINFO text.
std::optional<std::string_view> vmcoreinfo_value(std::string_view vmcoreinfo, std::string_view key);

}  // namespace engram::kernel
