// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel says is mapped in this process, for tests.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "mapping/guarded.h"
#include "mapping/host_range.h"

namespace engram::test {

/// The sanitizers' own mlock(2) and munlock(2) succeed and do nothing.
#if defined(ENGRAM_ADDRESS_SANITIZER) || defined(ENGRAM_THREAD_SANITIZER)
inline constexpr bool kCanLockMemory = false;
#else
inline constexpr bool kCanLockMemory = true;
#endif

/// One entry of /proc/self/smaps.
struct Vma {
  std::uint64_t begin = 0, end = 0;
  std::string rights;  ///< as in `rw-p`
  std::string path;
  std::string flags;  ///< VmFlags: two letters each, proc(5)

  [[nodiscard]] bool has_flag(const std::string& flag) const {
    return (" " + flags + " ").find(" " + flag + " ") != std::string::npos;
  }
};

/// Those that overlap [begin, begin + size), in order.
inline std::vector<Vma> vmas_in(const void* begin, std::uint64_t size) {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  std::vector<Vma> found;
  bool wanted = false;
  std::ifstream smaps("/proc/self/smaps");
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    const std::size_t dash = word.find('-');
    if (dash != std::string::npos && word.find(':') == std::string::npos) {
      Vma vma;
      vma.begin = std::stoull(word.substr(0, dash), nullptr, 16);
      vma.end = std::stoull(word.substr(dash + 1), nullptr, 16);
      std::string offset, device, inode;
      words >> vma.rights >> offset >> device >> inode >> std::ws;
      std::getline(words, vma.path);
      wanted = vma.begin < first + size && first < vma.end;
      if (wanted) found.push_back(vma);
    } else if (wanted && word == "VmFlags:") {
      std::getline(words >> std::ws, found.back().flags);
      while (found.back().flags.ends_with(' ')) found.back().flags.pop_back();
    }
  }
  return found;
}
inline std::vector<Vma> vmas_of(const mapping::NativeRange& range) {
  return vmas_in(range.address, range.size);
}

/// The rights of all of a range: `mixed` if they differ, empty if a part of it is not mapped.
inline std::string rights_of(const mapping::NativeRange& range) {
  const auto vmas = vmas_of(range);
  std::uint64_t at = reinterpret_cast<std::uintptr_t>(range.address);
  const std::uint64_t end = at + range.size;
  std::string rights;
  for (const Vma& vma : vmas) {
    if (vma.begin > at) return "";
    if (!rights.empty() && vma.rights != rights) return "mixed";
    rights = vma.rights;
    at = vma.end;
  }
  return at >= end ? rights : "";
}

}  // namespace engram::test
