// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/iommu.h"

#include <mutex>

namespace engram::guest {

MemoryResult<void> SharedIotlb::map(PhysAddr iova, PhysAddr target, std::uint64_t size,
                                    Permissions allowed) {
  const std::unique_lock lock(mutex_);
  return tlb_.map(iova, target, size, allowed);
}

MemoryResult<void> SharedIotlb::invalidate(PhysAddr iova, std::uint64_t size) {
  const std::unique_lock lock(mutex_);
  return tlb_.invalidate(iova, size);
}

void SharedIotlb::invalidate_all() {
  const std::unique_lock lock(mutex_);
  tlb_.invalidate_all();
}

Result<Translation, Iotlb::Obstacles> SharedIotlb::lookup(Range iova, Permissions access) const {
  std::shared_lock lock(mutex_);
  auto pieces = tlb_.lookup(iova, access);
  if (!pieces) return tl::unexpected(std::move(pieces).error());
  return Translation(std::move(lock), *pieces);
}

MemoryError SharedIotlb::to_error(const Iotlb::Obstacles& obstacles) {
  const auto error = [](MemoryErrc code, const Range& range) {
    return fail_memory(code, range.first().value, range.size()).value();
  };
  const auto& [missing, refused] = obstacles;
  const bool refused_first =
      missing.empty() || (!refused.empty() && refused.front().first() < missing.front().first());
  return refused_first ? error(MemoryErrc::access_refused, refused.front())
                       : error(MemoryErrc::iommu_cannot_resolve, missing.front());
}

}  // namespace engram::guest
