// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Address spaces: physical bytes and a page-table root in, virtual bytes and mappings out.
//
// In:     guest::Memory, the paging mode and the physical address of the root table.
// Out:    AddressSpace: translations, reads by virtual address, the list of mappings.
// Owner:  an AddressSpace borrows the Memory, which must outlive it. It owns its walk cache.
// Errors: Fault: which address, at which level of the walk, and why.
//
// All const members may be called from several threads at once.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "guest/memory.h"

namespace engram::paging {

struct Mode {
  Architecture architecture = Architecture::x86_64;
  unsigned levels = 4;  ///< of page tables: 4 or 5

  bool operator==(const Mode&) const = default;
};

enum class Reason : std::uint8_t {
  non_canonical,     ///< the address is not one that this mode can translate
  not_present,       ///< an entry of the walk is not present (unmapped, swapped out, PROT_NONE ...)
  reserved_bits,     ///< an entry of the walk has bits set that must be zero
  table_absent,      ///< a page table lies outside the image
  table_unreadable,  ///< a page table lies where the image file is cut or failing
  page_absent,       ///< the address translates, but the image does not have the page
  page_unreadable,   ///< the address translates, but the image file is cut or failing there
};

/// Why a virtual address could not be translated or read.
struct Fault {
  VirtAddr address;         ///< the first byte that failed
  Reason reason = Reason::not_present;
  unsigned level = 0;       ///< of the entry that ended the walk: the root has the highest; 0: the page
  PhysAddr entry_address;   ///< of that entry, or of the byte for page_* reasons
  std::uint64_t entry = 0;  ///< its value, if it was read
};

[[nodiscard]] std::string to_string(const Fault& fault);

/// What the entries of a walk allow together (the most restrictive of all levels).
struct Access {
  bool writable = false;
  bool executable = false;
  bool user = false;

  bool operator==(const Access&) const = default;
};

struct Translation {
  PhysAddr physical;
  std::uint64_t page_size = 0;  ///< bytes: 4 KiB, 2 MiB, 1 GiB
  Access access;
};

/// One run of virtual addresses that is contiguous in physical memory and uniform in rights and page size.
struct Mapping {
  VirtAddr start;
  PhysAddr physical;
  std::uint64_t size = 0;       ///< bytes
  std::uint64_t page_size = 0;  ///< bytes
  Access access;
};

struct ReadOutcome {
  std::size_t count = 0;       ///< bytes read before the fault
  std::optional<Fault> fault;  ///< why it stopped; none if complete

  [[nodiscard]] bool complete() const { return !fault; }
};

class AddressSpace {
 public:
  /// `root` is what the processor's root register holds: flag and PCID bits in it are masked out.
  /// `cached` gives the space a walk cache; leave it out for a space that is used for a few reads.
  AddressSpace(const guest::Memory& memory, Mode mode, PhysAddr root, bool cached = true);

  [[nodiscard]] const guest::Memory& memory() const { return *memory_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] PhysAddr root() const { return root_; }

  [[nodiscard]] Result<Translation, Fault> translate(VirtAddr address) const;

  /// Reads up to to.size() bytes over any number of pages; stops at the first byte that is not there.
  [[nodiscard]] ReadOutcome read(VirtAddr from, MutableBytes to) const;
  /// All of to.size() bytes, or the fault.
  [[nodiscard]] Result<void, Fault> read_exact(VirtAddr from, MutableBytes to) const;

  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<T, Fault> load(VirtAddr from) const {
    T value;
    ENGRAM_CHECK(read_exact(from, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }

  /// Text up to the first NUL, at most `limit` bytes. A fault before the NUL is a fault.
  [[nodiscard]] Result<std::string, Fault> load_text(VirtAddr from, std::size_t limit) const;

  /// Calls `visit` for the mappings in [first, last], in address order, neighbours merged, until it returns false.
  /// Entries that cannot be followed (a table outside the image, reserved bits) are skipped and counted.
  /// Bounded: one table is visited at most once per entry that points at it, and at most `kTableLimit` tables.
  std::uint64_t for_each_mapping(VirtAddr first, VirtAddr last,
                                 const std::function<bool(const Mapping&)>& visit) const;

  static constexpr std::uint64_t kTableLimit = 1U << 22U;

 private:
  class Cache;

  const guest::Memory* memory_;
  Mode mode_;
  PhysAddr root_;
  std::shared_ptr<Cache> cache_;
};

/// Page-table roots that translate `known_virtual` to `known_physical`, in order of their physical address.
/// Every page-aligned frame of the image is tried until `accept` returns true; returns that root.
[[nodiscard]] std::optional<PhysAddr> find_root(const guest::Memory& memory, Mode mode, VirtAddr known_virtual,
                                                PhysAddr known_physical,
                                                const std::function<bool(PhysAddr)>& accept);

}  // namespace engram::paging
