// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a VMware state file says: where the machine's memory lies, and its CPUs' registers.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/file_view.h"
#include "image/image.h"

namespace engram::image::vmware {

/// A piece of memory, in pages of 4 KiB.
struct MemoryRegion {
  std::uint64_t page = 0;     ///< physical
  std::uint64_t in_file = 0;  ///< where it begins in the memory's bytes
  std::uint64_t count = 0;
};

struct State {
  std::uint32_t magic = 0;
  std::uint32_t version = 0;
  std::vector<std::string> groups;
  std::map<std::uint32_t, MemoryRegion> regions;  ///< by number; none: memory is one piece
  struct Memory {
    FileOffset at;
    std::uint64_t size = 0;  ///< bytes in the file
    bool compressed = false;
  };
  std::optional<Memory> memory;  ///< nothing: it is in a file of its own
  std::map<std::uint32_t, CpuRegisters> cpus;
  std::string problem;  ///< where a group ends before its end, and why
};

[[nodiscard]] bool is_state(Bytes head);

/// Errors: the file ends inside its header or its table of groups.
[[nodiscard]] Result<State> read_state(const FileView& file);

}  // namespace engram::image::vmware
