// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an IOMMU knows at the moment: which addresses of a device (IOVAs) stand for which physical
// addresses, and what the device may do there.
//
// Not synchronised: iommu.h puts it behind a lock.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "guest/permissions.h"
#include "guest/range.h"

namespace engram::guest {

class Iotlb {
  struct Entry {
    std::uint64_t last;   // inclusive: an entry may end with the address space
    std::uint64_t delta;  // target - IOVA, modulo 2^64
    Permissions allowed;
  };
  using Entries = std::map<std::uint64_t, Entry>;  // by the first IOVA; disjoint

 public:
  /// IOVAs that stand for as many physical addresses in one piece.
  struct Piece {
    Range iova;
    PhysAddr target;
    bool operator==(const Piece&) const = default;
  };
  /// The parts of a query that stand in its way, each in ascending order.
  struct Obstacles {
    std::vector<Range> missing;  ///< no translation
    std::vector<Range> refused;  ///< a translation that does not allow the access
  };
  class Pieces;

  /// A device chooses how many entries there are: once there are `max_entries`, map() refuses more.
  explicit Iotlb(std::size_t max_entries = kDefaultMaxEntries) : max_entries_(max_entries) {}
  static constexpr std::size_t kDefaultMaxEntries = std::size_t{1} << 20;

  /// From now on `size` bytes from `iova` on stand for those from `target` on, whatever they stood
  /// for. Errors: invalid_size of none; range_overflow of the IOVAs or the targets; too_big{0,
  /// max_entries} if there is no room.
  MemoryResult<void> map(PhysAddr iova, PhysAddr target, std::uint64_t size, Permissions allowed);
  /// Forgets the range; what lies before and behind it stays (without room for both, what lies
  /// before). Errors: invalid_size, range_overflow.
  MemoryResult<void> invalidate(PhysAddr iova, std::uint64_t size);
  void invalidate_all() { entries_.clear(); }

  /// What the range stands for, if every byte of it has a translation that allows the access. Does
  /// not allocate then. The pieces are good as long as this does not change.
  [[nodiscard]] Result<Pieces, Obstacles> lookup(Range iova, Permissions access) const;

  /// Neighbours with the same distance to their targets and the same permissions are one, unless
  /// the targets wrap there.
  [[nodiscard]] std::size_t entry_count() const { return entries_.size(); }

 private:
  [[nodiscard]] Entries::const_iterator first_that_ends_at_or_after(std::uint64_t iova) const;
  [[nodiscard]] Obstacles obstacles(Range iova, Permissions access) const;
  void cut_out(Range range);
  void insert_merged(std::uint64_t first, Entry entry);

  std::size_t max_entries_;
  Entries entries_;
};

/// The pieces of a hit, in ascending order.
class Iotlb::Pieces {
 public:
  /// The next one; nothing after the last.
  [[nodiscard]] std::optional<Piece> next() {
    if (done_) return std::nullopt;
    const std::uint64_t first = next_;
    const std::uint64_t last = entry_->second.last < last_ ? entry_->second.last : last_;
    const PhysAddr target(first + entry_->second.delta);
    done_ = last == last_;
    next_ = last + 1;
    ++entry_;
    return Piece{Range::checked(PhysAddr(first), last - first + 1), target};
  }

 private:
  friend class Iotlb;
  Pieces(Entries::const_iterator entry, Range iova)
      : entry_(entry), next_(iova.first().value), last_(iova.last().value) {}

  Entries::const_iterator entry_;
  std::uint64_t next_, last_;
  bool done_ = false;
};

}  // namespace engram::guest
