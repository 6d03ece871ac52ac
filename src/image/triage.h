// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a small (triage) crash dump of Windows has instead of physical memory.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace engram::image {

struct TriageDriver {
  FileOffset at;                ///< of its entry
  std::vector<std::byte> name;  ///< UTF-16
  VirtAddr base, entry_point;
  std::uint32_t size = 0;       ///< bytes of the image in memory
  std::uint32_t timestamp = 0;  ///< of its file
};

struct TriageUnloadedDriver {
  FileOffset at;
  std::vector<std::byte> name;  ///< UTF-16, at most 12 units
  VirtAddr start, end;
};

/// A piece of virtual memory.
struct TriageBlock {
  VirtAddr address;
  FileOffset at;
  std::uint32_t size = 0;  ///< bytes
};

struct TriageDump {
  std::vector<TriageDriver> drivers;
  std::vector<TriageUnloadedDriver> unloaded_drivers;
  std::vector<TriageBlock> blocks;  ///< may overlap
};

}  // namespace engram::image
