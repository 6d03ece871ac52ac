// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// find_root(): the search for a page-table root in all of physical memory.

#include "paging/address_space.h"
#include "paging/format.h"

namespace engram::paging {
namespace {

/// One word decides for nearly every frame: it must be a page, or lead to a table that the image
/// has.
bool may_be_root(const guest::Memory& memory, const Format& format, PhysAddr frame,
                 VirtAddr known) {
  const auto word = format.load_entry(memory, format.entry_at(frame, known, format.levels));
  if (!word || *word == 0) return false;
  const Entry entry = format.decode(*word, format.levels);
  return entry.kind == Entry::Kind::page ||
         (entry.kind == Entry::Kind::table && memory.find(entry.physical) != nullptr);
}

}  // namespace

std::optional<PhysAddr> find_root(const guest::Memory& memory, Mode mode, VirtAddr known_virtual,
                                  PhysAddr known_physical,
                                  const std::function<bool(PhysAddr)>& accept) {
  const Format* format = find_format(mode);
  if (format == nullptr || !format->is_canonical(known_virtual)) return std::nullopt;

  for (const guest::Region& region : memory.regions()) {
    if (!region.is_stored()) continue;                             // a root is not all zeros
    const std::uint64_t before = -region.start.value & kPageMask;  // bytes up to the first frame
    for (std::uint64_t offset = before; offset < region.size; offset += kPageSize) {
      const PhysAddr frame = region.start + offset;
      if (frame.value > format->root_mask) return std::nullopt;  // no register holds it
      if ((frame.value & ~format->root_mask) != 0) continue;     // a table larger than a frame
      if (!may_be_root(memory, *format, frame, known_virtual)) continue;
      const auto found = walk(memory, mode, frame, known_virtual);
      if (found && found->physical == known_physical && accept(frame)) return frame;
    }
  }
  return std::nullopt;
}

}  // namespace engram::paging
