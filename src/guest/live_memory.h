// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The memory of a machine that runs, for those who read dumps: the same bytes as a guest::Memory.

#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "guest/concepts.h"
#include "guest/memory.h"

namespace engram::guest {

namespace detail {
/// Reads by physical address whatever memory it keeps.
template <ReadableMemory M>
class MemorySource : public PhysicalSource {
 public:
  explicit MemorySource(M memory) : memory_(std::move(memory)) {}
  [[nodiscard]] const M& memory() const { return memory_; }
  [[nodiscard]] Transfer read(PhysAddr from, MutableBytes to) const override {
    return memory_.read(from, to);
  }

 private:
  M memory_;
};
}  // namespace detail

/// Sees what `memory` has at each moment, and keeps it mapped. Regions with host memory are read
/// where they lie, guarded whatever their policy; others, and those whose policy is to make system
/// calls, through their own read().
template <Backend M>
[[nodiscard]] Result<Memory> live_memory(const M& memory) {
  const auto source = std::make_shared<const detail::MemorySource<M>>(memory);
  Regions regions;
  for (const auto& region : source->memory().regions()) {
    const Range range = region.range();
    const auto view = region.view(RegionOffset(), range.size());
    if (view && region.attributes().faults != FaultPolicy::syscall) {
      regions.push_back({range.first(), range.size(), Backing::host, view->guard().data()});
    } else {
      regions.push_back(Region::from_source(range.first(), range.size(), *source));
    }
  }
  return Memory::create(std::move(regions), source);
}

}  // namespace engram::guest
