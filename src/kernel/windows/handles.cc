// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/handles.h"

#include <fmt/core.h>

#include <algorithm>

#include "kernel/windows/objects.h"
#include "kernel/windows/processes.h"

namespace engram::kernel::windows {
namespace {

// A table of handles is a page of entries, a page of pointers to such pages, or one more level of
// pointers; TableCode says in its low bits which. The first entry of each page is no handle's.
constexpr std::uint64_t kLevelMask = 7;
constexpr unsigned kHighestLevel = 2;
constexpr std::uint64_t kNumbersPerEntry = 4;
constexpr std::uint64_t kMostEntries = 1U << 24U;  // the kernel's own limit
constexpr std::uint64_t kLowBits = 7;              // of a pointer: attributes, before 8

// Of the attributes: OBJ_PROTECT_CLOSE, OBJ_INHERIT, OBJ_AUDIT_OBJECT_CLOSE. Where there is no room
// for the first it is kept behind the access, where no right has a bit: before 8, and on 32-bit
// machines.
constexpr std::uint64_t kProtect = 1, kInherit = 2, kAudit = 4;
constexpr unsigned kProtectBit = 25, kAllAttributes = 3;

/// Whether an entry has only those bits of a pointer that differ between objects.
bool is_packed(BitRange pointer, std::uint64_t width) {
  return pointer.count < width * 8;
}
/// Lowest bits of the address of an object's header, which are 0.
unsigned zero_bits(std::uint64_t width) {
  return width == sizeof(std::uint64_t) ? 4 : 3;
}
/// Bits of an address at least: Windows 8 has 44 and a sign, later ones have 48.
unsigned address_bits(std::uint64_t width) {
  return width == sizeof(std::uint64_t) ? 45 : 32;
}

/// Bits that lie in one word of an entry.
std::uint64_t bits_of(Bytes entry, BitRange range) {
  const auto word = load<std::uint64_t>(entry, range.first / 64 * sizeof(std::uint64_t));
  if (!word || range.count == 0 || range.first % 64 + range.count > 64) return 0;
  const std::uint64_t shifted = *word >> range.first % 64;
  return range.count == 64 ? shifted : shifted & ((std::uint64_t{1} << range.count) - 1);
}

}  // namespace

void HandleWalk::Damage::add(VirtAddr at, std::string what) {
  if (count++ != 0) return;
  where = at;
  text = std::move(what);
}

HandleWalk::HandleWalk(const Reader& reader, const ObjectLayout& layout, VirtAddr process,
                       VirtAddr table, unsigned level)
    : reader_(reader),
      at_(layout),
      process_(process),
      width_(pointer_size(reader.space().mode())),
      top_(level) {
  enter(table, 0);
}

HandleWalk::~HandleWalk() {
  report(pages_, "HANDLE_TABLE");
  report(entries_, "HANDLE_TABLE_ENTRY");
}

void HandleWalk::report(const Damage& damage, std::string_view what) const {
  if (damage.count == 0) return;
  const std::string others =
      damage.count == 1 ? "" : fmt::format("; {} more of the process like it", damage.count - 1);
  reader_.report(
      what, damage.where,
      fmt::format("{} (of the process at {:#x}){}", damage.text, process_.value, others));
}

void HandleWalk::enter(VirtAddr table, std::uint64_t first) {
  if (!is_kernel_address(table.value, width_) || table.mask(kPageMask) != 0) {
    pages_.add(table, fmt::format("{:#x} is no page of it", table.value));
    return;
  }
  if (!seen_.insert(table.value).second) {
    pages_.add(table, fmt::format("page {:#x} is in it twice", table.value));
    return;
  }
  Page page{table, std::vector<std::byte>(kPageSize), first};
  if (const auto read = reader_.space().read_exact(table, page.bytes); !read) {
    pages_.add(table, paging::to_string(read.error()));
    return;
  }
  path_.push_back(std::move(page));
}

std::optional<Handle> HandleWalk::next() {
  while (!path_.empty()) {
    if (path_.size() <= top_) {
      descend(path_.back());
    } else if (auto handle = next_entry(path_.back())) {
      return handle;
    } else {
      path_.pop_back();
    }
  }
  return std::nullopt;
}

/// To the next page that a page of pointers leads to, or up if there is none.
void HandleWalk::descend(Page& page) {
  const std::uint64_t pointers = kPageSize / width_;
  const bool is_last = path_.size() == top_;
  const std::uint64_t below = kPageSize / entry_size() * (is_last ? 1 : pointers);
  for (;;) {
    const std::uint64_t at = page.at++, first = page.first + at * below;
    if (at == pointers || first >= kMostEntries) break;
    const Bytes word = Bytes(page.bytes).subspan(at * width_, width_);
    const std::uint64_t next = width_ == sizeof(std::uint64_t)
                                   ? load_unaligned<std::uint64_t>(word.data())
                                   : load_unaligned<std::uint32_t>(word.data());
    if (next == 0) continue;
    enter(VirtAddr(next), first);
    return;
  }
  path_.pop_back();
}

std::optional<Handle> HandleWalk::next_entry(Page& page) {
  const std::uint64_t size = entry_size();
  while (++page.at < kPageSize / size) {
    Handle handle = read_entry(Bytes(page.bytes).subspan(page.at * size, size));
    if (!handle.object) continue;
    handle.process = process_;
    handle.entry = page.address + page.at * size;
    handle.number = static_cast<std::uint32_t>((page.first + page.at) * kNumbersPerEntry);
    if (is_kernel_address(handle.object.value, width_)) return handle;
    entries_.add(handle.entry,
                 fmt::format("its object at {:#x} is none of the kernel's", handle.object.value));
  }
  return std::nullopt;
}

Handle HandleWalk::read_entry(Bytes entry) const {
  Handle handle;
  const bool packed = is_packed(at_.pointer, width_);
  std::uint64_t pointer = bits_of(entry, at_.pointer);
  if (packed) {
    // The bits above are those of every kernel address.
    const unsigned low = zero_bits(width_), all = low + at_.pointer.count;
    const std::uint64_t upper = all < width_ * 8 ? ~std::uint64_t{0} << all : 0;
    if (pointer != 0) pointer = pointer << low | upper;
  } else {
    pointer &= ~kLowBits;
  }
  if (pointer == 0) return handle;
  handle.object = VirtAddr(pointer) + object_header_size(width_);
  const bool has_all = packed && at_.attributes.count == kAllAttributes;
  std::uint64_t attributes = bits_of(entry, at_.attributes);
  if (at_.attributes.count == kAllAttributes - 1) attributes <<= 1U;  // all but the first
  const unsigned count =
      has_all ? at_.granted_access.count : std::max(at_.granted_access.count, kProtectBit + 1);
  const std::uint64_t access = bits_of(entry, {at_.granted_access.first, count});
  const std::uint64_t protect = has_all ? 0 : std::uint64_t{1} << kProtectBit;
  handle.granted_access = static_cast<std::uint32_t>(access & ~protect);
  handle.is_protected = has_all ? (attributes & kProtect) != 0 : (access & protect) != 0;
  handle.is_inherited = (attributes & kInherit) != 0;
  handle.is_audited = (attributes & kAudit) != 0;
  return handle;
}

Handles::Handles(WindowsKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  if (const auto structures = kernel.structures()) at_ = (*structures)->object;
}

bool Handles::is_known() const {
  const auto structures = kernel_.structures();
  const std::uint64_t width = pointer_size(kernel_.space().mode());
  return structures && (*structures)->object_table && at_.table_code &&
         at_.pointer.count + zero_bits(width) >= address_bits(width) &&
         at_.pointer.first + at_.pointer.count <= width * 8;
}

std::shared_ptr<HandleWalk> Handles::walk(VirtAddr process) const {
  const auto table = kernel_.processes().object_table(process);
  const auto code = table ? reader_.get(*table, at_.table_code) : std::nullopt;
  if (!code) return nullptr;
  const auto level = static_cast<unsigned>(*code & kLevelMask);
  if (level > kHighestLevel) {
    reader_.report("HANDLE_TABLE.TableCode", *table,
                   fmt::format("level {}, at most {} expected", level, kHighestLevel));
    return nullptr;
  }
  return std::make_shared<HandleWalk>(reader_, at_, process, VirtAddr(*code & ~kLevelMask), level);
}

}  // namespace engram::kernel::windows
