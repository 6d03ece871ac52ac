// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/kdump_packing.h"

#include <algorithm>

namespace engram::image {
namespace {

/// A page, with zeros for what is absent. Returns how many bytes these are.
Result<std::uint64_t> read_page(const guest::Memory& memory, PhysAddr from, MutableBytes to) {
  if (memory.read(from, to).complete()) return 0;
  std::uint64_t filled = 0;
  while (!to.empty()) {
    const auto outcome = memory.read(from, to);
    from = from + outcome.count;
    to = to.subspan(outcome.count);
    const guest::Region* const region = memory.find(from);
    if (to.empty()) break;
    if (region != nullptr && region->backing != guest::Backing::unreadable) {
      return cannot_read(from);
    }
    const auto regions = memory.regions();
    const auto next = std::find_if(
        std::upper_bound(regions.begin(), regions.end(), from,
                         [](PhysAddr a, const guest::Region& r) { return a < r.start; }),
        regions.end(),
        [](const guest::Region& r) { return r.backing != guest::Backing::unreadable; });
    const std::uint64_t gap =
        next == regions.end() ? to.size() : std::min<std::uint64_t>(next->start - from, to.size());
    std::fill_n(to.begin(), gap, std::byte{});
    filled += gap;
    from = from + gap;
    to = to.subspan(static_cast<std::size_t>(gap));
  }
  return filled;
}

}  // namespace

Result<PackedPages> pack_pages(const Packing& packing, const std::vector<std::uint64_t>& numbers) {
  ENGRAM_TRY(const auto packer, PagePacker::create(packing.codec));
  PackedPages packed;
  packed.pages.reserve(numbers.size());
  std::vector<std::byte> page(static_cast<std::size_t>(packing.page_size));
  for (const std::uint64_t number : numbers) {
    const PhysAddr from(number * packing.page_size);
    ENGRAM_TRY(const std::uint64_t filled, read_page(packing.memory, from, page));
    packed.filled += filled;
    if (is_zero(page)) {
      packed.pages.emplace_back();
      continue;
    }
    const Bytes gain = packer->pack(page);
    const Bytes bytes = gain.empty() ? Bytes(page) : gain;
    packed.pages.push_back({static_cast<std::uint32_t>(bytes.size()), !gain.empty()});
    packed.bytes.insert(packed.bytes.end(), bytes.begin(), bytes.end());
  }
  return packed;
}

}  // namespace engram::image
