// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Guest physical memory: regions of host bytes in, bounds-checked physical bytes out.
//
// In:     Region values (what lies where, and what stands behind it).
// Out:    Memory: an immutable, sorted, non-overlapping set of regions that is read by physical
//         address, with the operations that all guest memories have (access.h). Nothing writes it.
// Owner:  Memory shares the region table with its copies and keeps the backing mapping alive.
// Errors: reads return how much was read and why they stopped; exact ones return MemoryError.
//
// Memory is safe to share between threads: nothing in it changes after create().
//
// Memory that is written, by a machine that runs or by its device models: region_collection.h over
// mapped_region.h. Both have the same operations, so that what reads one reads the other.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "guest/access.h"
#include "guest/region.h"
#include "guest/region_collection.h"
#include "mapping/guarded.h"

namespace engram::guest {

/// Bytes that are made when they are read, such as the pages of a compressed dump. Safe to use from
/// several threads at once.
class PhysicalSource {
 public:
  virtual ~PhysicalSource() = default;
  /// Reads up to to.size() bytes. Stops: not_present where the image says that it does not have the
  /// byte; source_truncated where it should have it.
  [[nodiscard]] virtual Transfer read(PhysAddr from, MutableBytes to) const = 0;
  /// The same for a reader of all bytes in their order, who does not come back to them: what has to
  /// be made for it need not be kept.
  [[nodiscard]] virtual Transfer read_once(PhysAddr from, MutableBytes to) const {
    return read(from, to);
  }
};

/// What stands behind the bytes of a region. A physical address in no region is absent.
enum class Backing : std::uint8_t {
  host,        ///< bytes in host memory
  zero,        ///< the image says that these bytes are zero and does not store them
  unreadable,  ///< the image has them by its own account, but its file ends before them
  source,      ///< bytes that a PhysicalSource makes
};

/// A ReadableRegion of 24 bytes, of which a dump may have a million.
struct Region {
  PhysAddr start;
  std::uint64_t size = 0;  ///< bytes
  Backing backing : 2 = Backing::host;

  Region() = default;
  /// `host` is for Backing::host; for Backing::source see from_source().
  Region(PhysAddr first, std::uint64_t bytes, Backing behind = Backing::host,
         const std::byte* host = nullptr)
      : start(first),
        size(bytes),
        backing(behind),
        host_(reinterpret_cast<std::uintptr_t>(host) & kHostMask) {}

  /// A region with Backing::source; whoever owns the memory keeps the source alive.
  [[nodiscard]] static Region from_source(PhysAddr start, std::uint64_t size,
                                          const PhysicalSource& source) {
    return {start, size, Backing::source, reinterpret_cast<const std::byte*>(&source)};
  }
  /// Of a region that from_source() made: a field of its own would make a million regions larger.
  [[nodiscard]] const PhysicalSource& source() const {
    return *reinterpret_cast<const PhysicalSource*>(host());
  }
  /// The first byte of a region with Backing::host.
  [[nodiscard]] const std::byte* host() const {
    return reinterpret_cast<const std::byte*>(std::uintptr_t{host_});  // NOLINT(*-no-int-to-ptr)
  }
  void set_host(const std::byte* host) {
    host_ = reinterpret_cast<std::uintptr_t>(host) & kHostMask;
  }

  /// One past the last byte: wraps to 0 for a region that ends with the address space.
  [[nodiscard]] PhysAddr end() const { return start + size; }
  /// The last byte; only for a region that is not empty.
  [[nodiscard]] PhysAddr last() const { return start + (size - 1); }
  /// Whether there are bytes that were stored, so that there is something to find in it.
  [[nodiscard]] bool is_stored() const {
    return backing == Backing::host || backing == Backing::source;
  }

  // As a ReadableRegion; of a region that Memory::create() has checked.
  [[nodiscard]] Range range() const { return Range::checked(start, size); }
  [[nodiscard]] const Attributes& attributes() const;
  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const;
  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t count) const;

 private:
  // No address of a program has more bits: 56 are the most, on x86-64 with five levels of page
  // tables (Documentation/arch/x86/x86_64/mm.rst), 60 with the tags of arm64's MTE.
  static constexpr unsigned kHostBits = 62;
  static constexpr std::uint64_t kHostMask = (std::uint64_t{1} << kHostBits) - 1;

  std::uint64_t host_ : kHostBits = 0;
};
/// Regions of one memory.
using Regions = RegionCollection<Region>::List;
static_assert(sizeof(Region) == 24 && ReadableRegion<Region> && !WritableRegion<Region>);

/// Whether a read stopped because the image does not have the next byte. Else it should have it,
/// but its file is cut or failing.
[[nodiscard]] constexpr bool is_absent(MemoryErrc stop) {
  return stop == MemoryErrc::invalid_guest_address || stop == MemoryErrc::range_overflow ||
         stop == MemoryErrc::not_present;
}
/// The two reasons in words that follow "is".
[[nodiscard]] constexpr const char* absence_text(bool absent) {
  return absent ? "not in the image" : "not readable (the image file is cut or failing)";
}

/// Physical memory of a machine that does not run any more.
class Memory : public MemoryAccess<Memory, Region> {
 public:
  using RegionType = Region;

  Memory() = default;
  Memory(const Memory&) = default;
  Memory& operator=(const Memory&) = default;
  /// What was moved from has no regions.
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    Memory moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Memory() = default;

  /// `owner` keeps the bytes behind the regions alive. Regions may come in any order; neighbours
  /// with the same backing (for host memory: that continue each other there) are merged. Errors: an
  /// empty region, one whose end exceeds 2^64, two that overlap (both are named).
  static Result<Memory> create(Regions regions, std::shared_ptr<const void> owner);

  /// Sorted by start; no two overlap.
  [[nodiscard]] std::span<const Region> regions() const { return regions_.regions(); }
  [[nodiscard]] std::size_t size() const { return regions_.size(); }
  /// Bytes that can be read: the regions without the unreadable ones.
  [[nodiscard]] std::uint64_t present_bytes() const { return present_bytes_; }
  /// The end of the last region; 0 if there is none or it ends with the address space.
  [[nodiscard]] PhysAddr end() const {
    return regions_.empty() ? PhysAddr() : regions_.end()[-1].end();
  }

  /// The region that holds `address`, or null.
  [[nodiscard]] const Region* find(PhysAddr address) const { return regions_.find(address); }

  /// The first region that begins behind `address`, or null.
  [[nodiscard]] const Region* find_behind(PhysAddr address) const;

  /// Who knows how many bytes of host memory, from one on, are a hole of the file behind it.
  using HoleFinder = std::function<std::uint64_t(const std::byte*)>;
  void set_hole_finder(HoleFinder finder) { hole_finder_ = std::move(finder); }
  /// How many bytes of the region, from `offset` on, are a hole of a file: they are zeros that
  /// nobody has stored. 0 if that is not known.
  [[nodiscard]] std::uint64_t hole_at(const Region& region, std::uint64_t offset) const;

  /// The memory without a translation in front of it: this one.
  [[nodiscard]] const Memory* physical_memory() const { return this; }

  /// For MemoryAccess.
  [[nodiscard]] auto pieces(PhysAddr address, std::uint64_t size, Permissions access) const {
    return regions_.pieces(address, size, access);
  }

  /// One little-endian 64-bit word, or nothing if any byte of it is not there: the fast path of
  /// page walks.
  [[nodiscard]] std::optional<std::uint64_t> load_word(PhysAddr from) const {
    const std::uint64_t offset = from - largest_.start;
    if (offset < largest_.words) return mapping::guarded_load(largest_.host + offset);
    const Region* const region = find(from);
    if (region == nullptr) return std::nullopt;
    if (region->backing == Backing::host && region->last() - from >= 7) {
      return mapping::guarded_load(region->host() + (from - region->start));
    }
    const auto word = read_object<std::uint64_t>(from);
    return word ? std::optional(*word) : std::nullopt;
  }

 private:
  /// The largest region with host memory: most words lie in it.
  struct Window {
    PhysAddr start;
    std::uint64_t words = 0;  ///< how many offsets a whole word can be loaded from
    const std::byte* host = nullptr;
  };

  void swap(Memory& other) noexcept {
    std::swap(regions_, other.regions_);
    std::swap(present_bytes_, other.present_bytes_);
    std::swap(largest_, other.largest_);
    std::swap(owner_, other.owner_);
    std::swap(hole_finder_, other.hole_finder_);
  }

  RegionCollection<Region> regions_;
  std::uint64_t present_bytes_ = 0;
  Window largest_;
  std::shared_ptr<const void> owner_;
  HoleFinder hole_finder_;
};

}  // namespace engram::guest
