// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a Windows kernel lies in physical and virtual memory.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "base/result.h"
#include "image/image.h"
#include "kernel/windows/kernel_values.h"
#include "kernel/windows/program_image.h"
#include "paging/address_space.h"

namespace engram::kernel::windows {

/// How a Windows machine of this image may be paged, the likeliest first. A crash dump says it; of
/// others the header may say which processor it is, and of raw memory nothing is known.
[[nodiscard]] std::vector<paging::Mode> windows_modes(const image::Facts& facts);

/// Bytes of a pointer.
[[nodiscard]] constexpr std::uint64_t pointer_size(const paging::Mode& mode) {
  return pointer_size(mode.architecture);
}

/// KUSER_SHARED_DATA: a page that each process sees, at the same address since Windows NT.
struct SharedData {
  /// On 64-bit machines and on 32-bit ones.
  static constexpr VirtAddr kAddress{0xFFFF'F780'0000'0000}, kAddress32{0xFFDF'0000};
  [[nodiscard]] static constexpr VirtAddr address(const paging::Mode& mode) {
    return pointer_size(mode) == 4 ? kAddress32 : kAddress;
  }

  std::uint32_t major_version = 0, minor_version = 0;
  std::uint32_t build = 0;  ///< 0 before Windows 10
  std::uint32_t product_type = 0, suite_mask = 0;
  /// Machines whose programs run here, as program images name them; 0: it does not say.
  std::uint16_t first_machine = 0, last_machine = 0;
  std::string system_root;           ///< "C:\Windows"
  std::uint64_t system_time = 0;     ///< 100 ns since 1601
  std::uint64_t interrupt_time = 0;  ///< 100 ns since boot
};

/// Nothing if what lies there is no such page.
[[nodiscard]] std::optional<SharedData> read_shared_data(const paging::AddressSpace& space);

/// What PE headers and crash headers call it.
[[nodiscard]] std::uint16_t machine_of(Architecture architecture);

struct WindowsMap {
  PhysAddr root;                     ///< of the kernel's page tables
  paging::Mode mode;                 ///< of these
  std::string how;                   ///< for people: where the root was found
  bool is_named;                     ///< by the image: else it may be that of any process
  std::optional<SharedData> shared;  ///< nothing if the image does not have the page
  std::optional<ProgramImage> kernel;
};

/// How far to look for a root that nothing names.
enum class Search : std::uint8_t {
  all,    ///< as long as there is memory
  quick,  ///< the first 16 MiB, where the boot loader puts that of System, and no complaints
};

/// The root: what the crash header says, what the CPUs had loaded, else a page that looks like one
/// and leads to KUSER_SHARED_DATA. Of machines other than x86-64 no more than 4 GiB of memory are
/// looked at. Errors: none was found; the text says what was tried.
Result<WindowsMap> find_windows_map(const image::Image& image, Diagnostics& diagnostics,
                                    Search search);

}  // namespace engram::kernel::windows
