// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kernel memory for tests of walks: 1 MiB at a virtual address, and nothing behind it.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "base/diagnostics.h"
#include "kernel/linux/reader.h"
#include "paging/test_memory.h"

namespace engram::kernel {

inline constexpr VirtAddr kBase{0xffff888000000000};
inline constexpr std::uint64_t kDataSize = 1 * kMiB;

class KernelMemoryTest : public testing::Test {
 protected:
  /// The page at kBase + `hole` is not mapped.
  explicit KernelMemoryTest(std::optional<std::uint64_t> hole = std::nullopt, bool is_live = false)
      : bytes_(kData + kDataSize) {
    const PhysAddr root = bytes_.new_table();
    for (std::uint64_t at = 0; at < kDataSize; at += kPageSize) {
      if (at == hole) continue;
      bytes_.map(root, 4, kBase + at, physical(kBase + at), kPageSize,
                 paging::testing::kP | paging::testing::kRw);
    }
    memory_ = bytes_.memory();
    space_.emplace(memory_, paging::Mode{Architecture::x86_64, 4}, root);
    reader_.emplace(*space_, diagnostics_, is_live);
  }

  static PhysAddr physical(VirtAddr at) { return PhysAddr(kData + (at - kBase)); }
  void put(VirtAddr at, std::uint64_t word) { bytes_.put(physical(at), word); }
  std::uint64_t get(VirtAddr at) { return bytes_.get(physical(at)); }

  static constexpr std::uint64_t kData = 1 * kMiB;  ///< physical, behind the page tables
  paging::testing::TestMemory bytes_;
  guest::Memory memory_;
  Diagnostics diagnostics_;
  std::optional<paging::AddressSpace> space_;
  std::optional<Reader> reader_;
};

}  // namespace engram::kernel
