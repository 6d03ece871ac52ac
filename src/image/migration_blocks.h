// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which blocks of a migration stream are a machine's RAM, and where it lies in the machine's
// address space.

#include <string>
#include <vector>

#include "image/migration_stream.h"

namespace engram::image::migration {

/// Gives the blocks that are RAM their place in it: pc.ram; else those of NUMA nodes, one after the
/// other; else the largest one that is no device's, and says so in the stream. Blocks of other
/// names are left out.
void choose_ram(Stream& stream);

/// Whether a block's name says that it is a device's or the firmware's.
[[nodiscard]] bool is_of_device(const Block& block);

struct Layout {
  std::vector<Place> places;   ///< ascending
  std::string source;          ///< what says that RAM lies there
  std::uint64_t below_4g = 0;  ///< bytes of RAM
  bool is_assumed = false;
};

/// Where RAM lies: as the CMOS says, or else as QEMU puts it for `machine`, its name as the stream
/// or libvirt has it.
[[nodiscard]] Layout layout_of(const FileView& file, const Stream& stream,
                               const std::string& machine);

}  // namespace engram::image::migration
