// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The debugger's block of Windows in a kernel image of arbitrary content: what is accepted lies in
// the image, and the same block is read at the place where the search found it.
//
// Input: the kernel image, at most 8 pages; the rest is zeros.

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernel/windows/debugger_data.h"
#include "paging/test_memory.h"

namespace {

using namespace engram;
using kernel::windows::DebuggerData;
using paging::testing::TestMemory;

constexpr VirtAddr kBase{0xfffff805'10600000};
constexpr PhysAddr kFrames{0x4'0000};
constexpr std::size_t kSize = 8 * kPageSize;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  TestMemory memory(128 * kPageSize);
  const PhysAddr root = memory.new_table();
  for (std::uint64_t at = 0; at < kSize; at += kPageSize) {
    memory.map(root, 4, kBase + at, kFrames + at, kPageSize,
               paging::testing::kP | paging::testing::kRw);
  }
  if (size != 0) std::memcpy(memory.at(kFrames), data, std::min(size, kSize));
  const guest::Memory physical = memory.memory();
  const paging::AddressSpace space(physical, {}, root);
  kernel::windows::ProgramImage kernel;
  kernel.base = kBase;
  kernel.size = kSize;
  const auto found = DebuggerData::find(space, kernel);
  if (found) {
    require(found->address() >= kBase && found->address() + found->size() <= kBase + kSize);
    const auto again = DebuggerData::read(space, found->address(), kBase);
    require(again && again->size() == found->size());
    require(found->pointer(DebuggerData::kPsActiveProcessHead).has_value());
  }
  (void)DebuggerData::read(space, kBase, std::nullopt);
  (void)kernel::windows::read_program_image(space, kBase);
  return 0;
}
