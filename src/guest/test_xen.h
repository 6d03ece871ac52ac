// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Stands in for the Xen devices: no host of the tests runs under Xen. It takes the same requests,
// keeps them for the test to look at, and maps the memory of a domain that is a memory file.

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "guest/xen.h"
#include "guest/xen_layout.h"
#include "mapping/any_mapping.h"
#include "mapping/options.h"
#include "mapping/shared_memory.h"

namespace engram::test {

class StubXenDevices final : public guest::XenDevices {
 public:
  static constexpr std::uint64_t kDomainPages = 512;
  /// Where the device says that the first grants are to be mapped.
  static constexpr std::uint64_t kFirstIndex = 0x1000000;

  /// Frame n of the domain is page n of this.
  mapping::SharedMemory domain =
      *mapping::SharedMemory::create("xen-domain", kDomainPages* kPageSize);
  std::vector<std::string> calls = {};  ///< their names, in order
  std::vector<std::uint64_t> frames = {};
  std::vector<guest::xen_layout::GrantRef> grants = {};  ///< of the last request
  guest::xen_layout::MapGrants grant_head = {};
  guest::xen_layout::MapBatch batch = {};
  mapping::Prot prot = mapping::Prot::none;
  int fail_with = 0;        ///< errno of every request
  int fail_frame_with = 0;  ///< errno of the second frame of a batch
  bool refuse_to_map = false;

  mapping::MemoryResult<Mapped> map(const mapping::FileRef& device, std::uint64_t size,
                                    mapping::Prot wanted, mapping::Share share) override {
    calls.emplace_back("map");
    prot = wanted;
    if (refuse_to_map) return mapping::fail_os(ENODEV);
    mapping::FileRef bytes{domain.file(), FileOffset()};
    if (const auto grant = granted_.find(device.offset.value); grant != granted_.end()) {
      bytes.offset = FileOffset(grant->second * kPageSize);
    }
    ENGRAM_TRY(auto mapped, mapping::Options(size).backing(bytes).share(share).map_any(wanted));
    auto held = std::make_shared<mapping::AnyMapping>(std::move(mapped));
    const mapping::NativeRange range = held->native_range();
    const auto unmap = [this, held](void* /*nothing*/) mutable {
      calls.emplace_back("unmap");
      held.reset();
    };
    return Mapped{range, std::shared_ptr<void>(nullptr, unmap)};
  }

  mapping::MemoryResult<void> control(const mapping::File& /*device*/, unsigned long request,
                                      void* argument) override {
    if (fail_with != 0) return mapping::fail_os(fail_with);
    if (request == guest::xen_layout::kMapBatch) return map_batch(argument);
    if (request == guest::xen_layout::kMapGrants) return map_grants(argument);
    if (request == guest::xen_layout::kUnmapGrants) return unmap_grants(argument);
    return mapping::fail_os(ENOTTY);
  }

  /// Pages that are granted at the moment.
  [[nodiscard]] std::size_t granted() const { return granted_.size(); }

 private:
  mapping::MemoryResult<void> map_batch(void* argument) {
    calls.emplace_back("map batch");
    batch = load_unaligned<guest::xen_layout::MapBatch>(static_cast<const std::byte*>(argument));
    frames.assign(batch.frames, batch.frames + batch.count);
    if (fail_frame_with != 0) batch.errors[1] = -fail_frame_with;
    return {};
  }
  mapping::MemoryResult<void> map_grants(void* argument) {
    calls.emplace_back("map grants");
    auto* const bytes = static_cast<std::byte*>(argument);
    grant_head = load_unaligned<guest::xen_layout::MapGrants>(bytes);
    grants.resize(grant_head.count);
    std::memcpy(grants.data(), bytes + offsetof(guest::xen_layout::MapGrants, refs),
                grants.size() * sizeof grants[0]);
    const std::uint64_t index = kFirstIndex + 0x100000 * ++given_;
    std::memcpy(bytes + offsetof(guest::xen_layout::MapGrants, index), &index, sizeof index);
    granted_[index] = grants.front().ref;
    return {};
  }
  mapping::MemoryResult<void> unmap_grants(void* argument) {
    calls.emplace_back("unmap grants");
    const auto request =
        load_unaligned<guest::xen_layout::UnmapGrants>(static_cast<const std::byte*>(argument));
    if (granted_.erase(request.index) == 0) return mapping::fail_os(ENOENT);
    return {};
  }

  std::map<std::uint64_t, std::uint64_t> granted_;  // index -> first frame
  std::uint64_t given_ = 0;
};

}  // namespace engram::test
