// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/handles.h"

#include <fmt/core.h>

#include <unordered_set>

#include "kernel/windows/objects.h"
#include "kernel/windows/processes.h"

namespace engram::kernel::windows {
namespace {

// A table of handles is a page of entries, a page of pointers to such pages, or one more level of
// pointers; TableCode says in its low bits which. The first entry of each page is no handle's.
constexpr std::uint64_t kLevelMask = 7;
constexpr unsigned kHighestLevel = 2;
constexpr std::size_t kEntrySize = 16;
constexpr std::uint64_t kEntries = kPageSize / kEntrySize;
constexpr std::uint64_t kPointers = kPageSize / sizeof(std::uint64_t);
constexpr std::uint64_t kNumbersPerEntry = 4;
constexpr std::uint64_t kMostEntries = 1U << 24U;  // the kernel's own limit
constexpr std::uint64_t kLowBits = 7;              // of a pointer: attributes, before 8.1
constexpr unsigned kAddressBits = 48;

// Of the attributes: OBJ_PROTECT_CLOSE, OBJ_INHERIT, OBJ_AUDIT_OBJECT_CLOSE. Before 8.1 the first
// is kept in the access instead, where no right has a bit.
constexpr std::uint64_t kProtect = 1, kInherit = 2, kAudit = 4;
constexpr std::uint32_t kProtectInAccess = 0x0200'0000;

bool is_kernel_pointer(VirtAddr address) {
  return address.value >> (kAddressBits - 1) == 0x1FFFF;
}

/// Bits that lie in one half of an entry.
std::uint64_t bits_of(Bytes entry, BitRange range) {
  if (range.count == 0 || range.first / 64 > 1 || range.first % 64 + range.count > 64) return 0;
  const auto word = load_unaligned<std::uint64_t>(entry.data() + range.first / 64 * 8);
  const std::uint64_t shifted = word >> range.first % 64;
  return range.count == 64 ? shifted : shifted & ((std::uint64_t{1} << range.count) - 1);
}

}  // namespace

struct Handles::Walk {
  VirtAddr process;
  std::unordered_set<std::uint64_t> seen;
  std::vector<Handle> handles;
};

Handles::Handles(WindowsKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  if (const auto structures = kernel.structures()) at_ = (*structures)->object;
}

bool Handles::is_known() const {
  const auto structures = kernel_.structures();
  return structures && (*structures)->object_table && at_.table_code &&
         at_.pointer.count >= kAddressBits - 4 && at_.pointer.first + at_.pointer.count <= 64;
}

Handle Handles::read_entry(Bytes entry) const {
  Handle handle;
  const bool is_packed = at_.pointer.count < kAddressBits;
  std::uint64_t pointer = bits_of(entry, at_.pointer);
  if (is_packed) {
    // The bits above are those of every kernel address, the ones below are 0.
    if (pointer != 0)
      pointer = pointer << (kAddressBits - at_.pointer.count) | ~std::uint64_t{0} << kAddressBits;
  } else {
    pointer &= ~kLowBits;
  }
  if (pointer == 0) return handle;
  handle.object = VirtAddr(pointer) + kObjectHeaderSize;
  const std::uint64_t attributes = bits_of(entry, at_.attributes);
  handle.granted_access = static_cast<std::uint32_t>(bits_of(entry, at_.granted_access));
  handle.is_inherited = (attributes & kInherit) != 0;
  handle.is_audited = (attributes & kAudit) != 0;
  if (is_packed) {
    handle.is_protected = (attributes & kProtect) != 0;
  } else {
    handle.is_protected = (handle.granted_access & kProtectInAccess) != 0;
    handle.granted_access &= ~kProtectInAccess;
  }
  return handle;
}

bool Handles::read_page(Walk& walk, VirtAddr table, std::vector<std::byte>& page) const {
  if (!is_kernel_pointer(table) || table.mask(kPageMask) != 0) {
    reader_.report("HANDLE_TABLE", walk.process,
                   fmt::format("{:#x} is no page of it", table.value));
    return false;
  }
  if (!walk.seen.insert(table.value).second) {
    reader_.report("HANDLE_TABLE", walk.process,
                   fmt::format("page {:#x} is in it twice", table.value));
    return false;
  }
  page.resize(kPageSize);
  const auto read = reader_.space().read_exact(table, page);
  if (!read) reader_.report("HANDLE_TABLE", table, paging::to_string(read.error()));
  return read.has_value();
}

void Handles::walk(Walk& walk, VirtAddr table, unsigned level, std::uint64_t first) const {
  std::vector<std::byte> page;
  if (!read_page(walk, table, page)) return;
  if (level != 0) {
    const std::uint64_t below = level == 1 ? kEntries : kEntries * kPointers;
    for (std::uint64_t i = 0; i < kPointers && first + i * below < kMostEntries; ++i) {
      const auto next = load_unaligned<std::uint64_t>(page.data() + i * sizeof(std::uint64_t));
      if (next != 0) this->walk(walk, VirtAddr(next), level - 1, first + i * below);
    }
    return;
  }
  for (std::uint64_t i = 1; i < kEntries; ++i) {
    Handle handle = read_entry(Bytes(page).subspan(i * kEntrySize, kEntrySize));
    if (!handle.object) continue;
    handle.process = walk.process;
    handle.entry = table + i * kEntrySize;
    handle.number = static_cast<std::uint32_t>((first + i) * kNumbersPerEntry);
    if (is_kernel_pointer(handle.object)) {
      walk.handles.push_back(handle);
    } else {
      reader_.report(
          "HANDLE_TABLE_ENTRY", handle.entry,
          fmt::format("its object at {:#x} is none of the kernel's", handle.object.value));
    }
  }
}

std::vector<Handle> Handles::of(VirtAddr process) const {
  Walk walk{process, {}, {}};
  const auto table = kernel_.processes().object_table(process);
  const auto code = table ? reader_.get(*table, at_.table_code) : std::nullopt;
  if (!code) return {};
  const auto level = static_cast<unsigned>(*code & kLevelMask);
  if (level > kHighestLevel) {
    reader_.report("HANDLE_TABLE.TableCode", *table,
                   fmt::format("level {}, at most {} expected", level, kHighestLevel));
    return {};
  }
  this->walk(walk, VirtAddr(*code & ~kLevelMask), level, 0);
  return std::move(walk.handles);
}

}  // namespace engram::kernel::windows
