// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Address spaces: physical bytes and a page-table root in, virtual bytes and mappings out.
//
// In:     guest::Memory, the paging mode and the physical address of the root table (or of two).
// Out:    AddressSpace: translations, reads by virtual address, the list of mappings.
// Owner:  an AddressSpace borrows the Memory, which must outlive it. It owns its walk cache.
// Errors: Fault: which address, at which level of the walk, and why.
//
// All const members may be called from several threads at once.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// Whose meaning an entry has that the processor takes for not present.
enum class Software : std::uint8_t {
  any,      ///< unknown: it is not present
  windows,  ///< pages in transition are there; others are said to be what Windows means by them
  linux_kernel,  ///< x86_64: pages that nobody may touch (PROT_NONE, NUMA balancing) are there
};

/// Bytes of a pointer.
[[nodiscard]] constexpr std::uint64_t pointer_size(Architecture architecture) {
  return architecture == Architecture::x86 ? 4 : 8;
}

struct Mode {
  Architecture architecture = Architecture::x86_64;
  /// Of page tables. x86_64: 4 or 5; x86: 2, or 3 with PAE; arm64: those of arm64_mode(). 0: there
  /// are none, see of_pieces().
  unsigned levels = 4;
  Software software = Software::any;
  unsigned page_bits = 12;  ///< arm64: the smallest page has 2^page_bits bytes; 12, 14 or 16
  /// arm64: of the addresses at each end of the space, 64 - TCR_EL1.TnSZ; 36 to 48, or 52. Both
  /// ends have the same number.
  unsigned address_bits = 48;

  bool operator==(const Mode&) const = default;
};

/// With the number of levels that these take. In a mode that no processor has every address is
/// non_canonical.
[[nodiscard]] Mode arm64_mode(unsigned page_bits, unsigned address_bits);

enum class Reason : std::uint8_t {
  non_canonical,     ///< the address is not one that this mode can translate
  not_present,       ///< an entry of the walk is not present (unmapped, swapped out ...)
  prototype,         ///< Windows: the page is shared, its entry lies elsewhere (a prototype PTE)
  page_file,         ///< Windows: the page is in a page file
  demand_zero,       ///< Windows: the page is made, full of zeros, when it is first touched
  reserved_bits,     ///< an entry of the walk has bits set that must be zero
  table_absent,      ///< a page table lies outside the image
  table_unreadable,  ///< a page table lies where the image file is cut or failing
  page_absent,       ///< the address translates, but the image does not have the page
  page_unreadable,   ///< the address translates, but the image file is cut or failing there
  no_tables,         ///< there are no page tables: an image of pieces of virtual memory
  no_piece,          ///< such an image does not have the byte
  piece_unreadable,  ///< it has, where the image file is cut or failing
};

/// Why a virtual address could not be translated or read.
struct Fault {
  VirtAddr address;  ///< the first byte that failed
  Reason reason = Reason::not_present;
  unsigned level = 0;  ///< of the entry that ended the walk: the root has the highest; 0: the page
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
  std::uint64_t page_size = 0;  ///< bytes: 4 KiB, 2 MiB, 1 GiB; others where there are others
  Access access;
};

/// One run of virtual addresses that is contiguous in physical memory and uniform in rights and
/// page size.
struct Mapping {
  VirtAddr start;
  PhysAddr physical;
  std::uint64_t size = 0;       ///< bytes
  std::uint64_t page_size = 0;  ///< bytes
  Access access;
};

/// One translation without a cache: for trying out a root. The flag and PCID bits of `root` are
/// masked out. Fails as AddressSpace::translate() does.
[[nodiscard]] Result<Translation, Fault> walk(const guest::Memory& memory, Mode mode, PhysAddr root,
                                              VirtAddr address);

struct ReadOutcome {
  std::size_t count = 0;       ///< bytes read before the fault
  std::optional<Fault> fault;  ///< why it stopped; none if complete

  [[nodiscard]] bool complete() const { return !fault; }
};

struct Format;  // what the entries of an architecture's tables mean: format.h
struct WalkState;

/// The virtual memory behind one root. In a mode that engram does not know every address is
/// non_canonical.
class AddressSpace {
 public:
  /// `root` is what the processor's root register holds: flag and PCID bits in it are masked out.
  /// `cached` gives the space a walk cache; leave it out for a space that is used for a few reads.
  AddressSpace(const guest::Memory& memory, Mode mode, PhysAddr root, bool cached = true)
      : AddressSpace(memory, mode, {root, root}, cached) {}
  /// With a root for each end of the space (arm64: TTBR0_EL1 and TTBR1_EL1). Elsewhere, and where
  /// only one is known, both are the same.
  struct Roots {
    PhysAddr lower, upper;
  };
  AddressSpace(const guest::Memory& memory, Mode mode, Roots roots, bool cached = true);

  /// Pieces of virtual memory, without page tables: `pieces` has them by virtual address. Its root
  /// is 0 and its mode has no levels; nothing in it translates, and for_each_mapping() has nothing.
  [[nodiscard]] static AddressSpace of_pieces(const guest::Memory& pieces,
                                              Architecture architecture);
  [[nodiscard]] bool is_of_pieces() const { return is_of_pieces_; }

  /// Physical; of pieces: virtual.
  [[nodiscard]] const guest::Memory& memory() const { return *memory_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] PhysAddr root() const { return roots_[0]; }  ///< of the lower end

  /// Never fails with a page_* reason: whether the image has the page is known when it is read.
  [[nodiscard]] Result<Translation, Fault> translate(VirtAddr address) const;

  /// Reads up to to.size() bytes over any number of pages; stops at the first byte that is not
  /// there. After the last address it goes on at 0, as the processor does.
  [[nodiscard]] ReadOutcome read(VirtAddr from, MutableBytes to) const;
  /// All of to.size() bytes, or the fault.
  [[nodiscard]] Result<void, Fault> read_exact(VirtAddr from, MutableBytes to) const;

  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<T, Fault> load(VirtAddr from) const {
    T value;
    if constexpr (sizeof(T) <= sizeof(std::uint64_t)) {
      const std::uint64_t skip = from.value % sizeof(std::uint64_t);
      if (skip + sizeof(T) <= sizeof(std::uint64_t)) {
        if (const auto word = load_aligned(from - skip)) {
          std::memcpy(&value, reinterpret_cast<const std::byte*>(&*word) + skip, sizeof value);
          return value;
        }
      }
    }
    ENGRAM_CHECK(read_exact(from, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }

  /// A pointer of `size` bytes, 4 or 8; of the mode's width if it is left out.
  [[nodiscard]] Result<VirtAddr, Fault> load_pointer(VirtAddr from, std::uint64_t size) const {
    if (size == sizeof(std::uint32_t)) {
      ENGRAM_TRY(const auto value, load<std::uint32_t>(from));
      return VirtAddr(value);
    }
    ENGRAM_TRY(const auto value, load<std::uint64_t>(from));
    return VirtAddr(value);
  }
  [[nodiscard]] Result<VirtAddr, Fault> load_pointer(VirtAddr from) const {
    return load_pointer(from, pointer_size(mode_.architecture));
  }

  /// Text up to the first NUL, at most `limit` bytes. A fault before the NUL is a fault.
  [[nodiscard]] Result<std::string, Fault> load_text(VirtAddr from, std::size_t limit) const;

  /// Calls `visit` for the mappings in [first, last], in address order, neighbours merged, until it
  /// returns false. Returns the number of entries that could not be followed: reserved bits set, a
  /// table that the image does not have whole, or more than kTableLimit tables in all.
  /// A table is visited at most kShareLimit times for each level that it stands at; further entries
  /// that point at it are aliases and are left out (Linux maps one page thousands of times that
  /// way: espfix, KASAN's zero shadow; and a damaged or hostile table may point at itself).
  std::uint64_t for_each_mapping(VirtAddr first, VirtAddr last,
                                 const std::function<bool(const Mapping&)>& visit) const;

  /// The last address, of those that follow fault.address without a gap, that fails for the same
  /// reason at the same entry (or is in the same 4 KiB, if the page itself is not there; of
  /// pieces: up to the next one).
  [[nodiscard]] VirtAddr last_alike(const Fault& fault) const;

  static constexpr std::uint64_t kTableLimit = 1U << 22U;
  static constexpr std::uint64_t kShareLimit = 4;

 private:
  class Cache;

  /// The word at an address that is a multiple of 8; nothing if any byte of it is not there.
  [[nodiscard]] std::optional<std::uint64_t> load_aligned(VirtAddr from) const;
  [[nodiscard]] Result<Translation, Fault> translate_uncached(VirtAddr address) const;
  [[nodiscard]] WalkState start_at_root(VirtAddr address) const;

  const guest::Memory* memory_;
  Mode mode_;
  const Format* format_;           ///< null in a mode that engram does not know
  std::array<PhysAddr, 2> roots_;  ///< of the lower and of the upper end
  std::shared_ptr<Cache> cache_;
  bool is_of_pieces_ = false;
};

/// The first page-table root, in order of physical address, that translates `known_virtual` to
/// `known_physical` and for which `accept` returns true; nothing if there is none. Every
/// page-aligned frame of the image is tried.
[[nodiscard]] std::optional<PhysAddr> find_root(const guest::Memory& memory, Mode mode,
                                                VirtAddr known_virtual, PhysAddr known_physical,
                                                const std::function<bool(PhysAddr)>& accept);

}  // namespace engram::paging
