// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// find_root(): the search for a page-table root in all of physical memory.

#include "guest/scan.h"
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

  std::optional<PhysAddr> root;
  const auto may_be = [&](PhysAddr frame) {
    // A table may be larger than a frame.
    return (frame.value & ~format->root_mask) == 0 &&
           may_be_root(memory, *format, frame, known_virtual);
  };
  const guest::PageLimits limits{PhysAddr(format->root_mask)};  // no register holds what is behind
  guest::for_each_stored_page(memory, limits, may_be, [&](const guest::StoredPage& page) {
    const auto found = walk(memory, mode, page.frame, known_virtual);
    if (found && found->physical == known_physical && accept(page.frame)) root = page.frame;
    return !root;
  });
  return root;
}

}  // namespace engram::paging
