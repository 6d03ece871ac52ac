// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a small (triage) crash dump of Windows has instead of physical memory.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/units.h"
#include "guest/memory.h"

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
struct TriagePiece {
  VirtAddr address;
  FileOffset at;
  std::uint64_t size = 0;  ///< bytes
};

struct TriageDump {
  std::vector<TriageDriver> drivers;
  std::vector<TriageUnloadedDriver> unloaded_drivers;
  /// In the order of their addresses, none empty; they may overlap.
  std::vector<TriagePiece> pieces;
  /// What they have, by *virtual* address. Its bytes belong to the Image.
  guest::Memory memory;
  /// KPRCB, EPROCESS and ETHREAD of what ran, from their beginnings on, and perhaps more than them.
  /// The dump does not say where in memory they were. Empty: it has none.
  std::vector<std::byte> processor, process, thread;
};

}  // namespace engram::image
