// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/live.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "image/contents.h"
#include "image/image.h"
#include "mapping/whole_file.h"

namespace engram::image {
namespace {

// From this much RAM on, a chipset splits it, and has so much of it below 4 GiB: whole GiB, for the
// sake of huge pages. Machine types of QEMU 1.7 and older split at the limit itself, and the option
// max-ram-below-4g sets any other value. Source: QEMU, hw/i386/pc_piix.c pc_init1() (as of 8.2) and
// hw/i386/pc_q35.c pc_q35_init() (as of 6.2); seen in 7.2.
struct Chipset {
  std::uint64_t limit;
  std::uint64_t below_4g;
  std::string_view machine;
};
constexpr Chipset kChipsets[] = {
    {0xe0000000, 0xc0000000, "machine pc (i440FX)"},
    {0xb0000000, 0x80000000, "machine q35"},
};

}  // namespace

std::vector<LiveLayout> live_layouts(std::uint64_t ram_size) {
  std::vector<LiveLayout> layouts;
  for (const Chipset& chipset : kChipsets) {
    const std::uint64_t below_4g = ram_size >= chipset.limit ? chipset.below_4g : ram_size;
    const auto is_same = [=](const LiveLayout& other) { return other.below_4g == below_4g; };
    if (std::any_of(layouts.begin(), layouts.end(), is_same)) continue;
    layouts.push_back({below_4g, chipset.machine});
  }
  if (layouts.size() == 1) layouts[0].machine = "any machine";
  return layouts;
}

Result<Image> Image::open_live(const std::string& path, std::optional<std::uint64_t> below_4g) {
  ENGRAM_TRY(auto mapped, mapping::map_whole_file(path, mapping::Share::shared));
  const auto owner = std::make_shared<const mapping::Mapping<mapping::ReadOnly>>(std::move(mapped));
  const FileView file(owner->unsafe_exclusive_bytes());
  if (below_4g && (*below_4g == 0 || *below_4g > kAboveHole || *below_4g % kPageSize != 0)) {
    return fail("{}: {} bytes below 4 GiB: expected whole pages of {} bytes, at most 4 GiB", path,
                *below_4g, kPageSize);
  }
  const std::uint64_t wanted = below_4g.value_or(live_layouts(file.size()).front().below_4g);
  const std::uint64_t low = std::min(wanted, file.size());
  Contents contents;
  contents.format = "live";
  add_range(contents, file, {PhysAddr(0), low, FileOffset(0), low, 0, 0});
  if (const std::uint64_t high = file.size() - low; high != 0) {
    add_range(contents, file, {PhysAddr(kAboveHole), high, FileOffset(low), high, 0, 0});
  }
  if (file.size() % kPageSize != 0) {
    contents.notices.push_back(
        {Level::warning, fmt::format("live: {} bytes are not a whole number of pages: not the RAM "
                                     "of a machine, or not all of it",
                                     file.size())});
  }
  ENGRAM_TRY(auto image, make(path, file.size(), std::move(contents), owner));
  image.is_live_ = true;
  return image;
}

}  // namespace engram::image
