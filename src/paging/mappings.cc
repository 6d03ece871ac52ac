// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// AddressSpace::for_each_mapping().

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "paging/address_space.h"
#include "paging/format.h"

namespace engram::paging {
namespace {

constexpr std::uint64_t kBlock = 512;  // entries that are read at once

class Enumerator {
 public:
  using Visit = std::function<bool(const Mapping&)>;

  Enumerator(const guest::Memory& memory, const Format& format, const Visit& visit)
      : memory_(memory), format_(format), visit_(visit) {}

  /// [first, last] is empty (first > last) or lies in one half of the space. False: `visit` said
  /// stop.
  bool list(PhysAddr root, VirtAddr first, VirtAddr last) {
    return first > last || list_table({root, format_.levels}, first, last);
  }

  bool finish() { return !pending_ || visit_(*pending_); }

  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }

 private:
  /// [first, last] lies in the span of the table.
  bool list_table(const WalkState& state, VirtAddr first, VirtAddr last) {
    if (!may_visit(state)) return true;
    const std::uint64_t index = format_.index(first, state.level);
    const std::uint64_t left = format_.index(last, state.level) - index + 1;
    PhysAddr at = format_.entry_at(state.table, first, state.level);
    VirtAddr start(align_down(first.value, format_.span(state.level)));
    for (std::uint64_t done = 0; done < left; done += kBlock) {
      const bool go_on = format_.entry_shift == kWordShift
                             ? list_block<std::uint64_t>(state, at, std::min(kBlock, left - done),
                                                         start, {first, last})
                             : list_block<std::uint32_t>(state, at, std::min(kBlock, left - done),
                                                         start, {first, last});
      if (!go_on) return false;
      at = at + kBlock * format_.entry_size();
      start = start + kBlock * format_.span(state.level);
    }
    return true;
  }

  struct Wanted {
    VirtAddr first, last;
  };

  /// `count` entries from `at` on, which stand for what begins at `start`. A block that the image
  /// does not have whole counts as one entry that could not be followed.
  template <class Word>
  bool list_block(const WalkState& state, PhysAddr at, std::uint64_t count, VirtAddr start,
                  const Wanted& wanted) {
    std::array<Word, kBlock> entries;
    const auto bytes = std::as_writable_bytes(std::span(entries).first(count));
    const auto got = memory_.read(at, bytes);
    if (!got.complete()) ++skipped_;

    const std::uint64_t span = format_.span(state.level);
    for (const std::uint64_t entry : std::span(entries).first(got.count / sizeof(Word))) {
      // Zero is not present on every architecture, and most entries are zero.
      if (entry != 0 && !list_entry(state, entry, std::max(wanted.first, start),
                                    std::min(wanted.last, start + (span - 1)))) {
        return false;
      }
      start = start + span;
    }
    return true;
  }

  /// [first, last] is what is wanted of the span of `word`, an entry of state.table.
  bool list_entry(const WalkState& state, std::uint64_t word, VirtAddr first, VirtAddr last) {
    const Entry entry = format_.decode(word, state.level);
    switch (entry.kind) {
      case Entry::Kind::not_present:
      case Entry::Kind::prototype:
      case Entry::Kind::page_file:
      case Entry::Kind::demand_zero:
        return true;
      case Entry::Kind::reserved_bits:
        ++skipped_;
        return true;
      case Entry::Kind::table:
        return list_table({entry.physical, state.level - 1, both(state.access, entry.access)},
                          first, last);
      case Entry::Kind::page:
        break;
    }
    const std::uint64_t page_size = format_.span(state.level);
    return add({first, entry.physical + offset_in(page_size, first), last - first + 1, page_size,
                both(state.access, entry.access)});
  }

  bool add(const Mapping& mapping) {
    if (pending_ && pending_->start + pending_->size == mapping.start &&
        pending_->physical + pending_->size == mapping.physical &&
        pending_->page_size == mapping.page_size && pending_->access == mapping.access) {
      pending_->size += mapping.size;
      return true;
    }
    const bool go_on = finish();
    pending_ = mapping;
    return go_on;
  }

  bool may_visit(const WalkState& state) {
    // Tables begin at multiples of 32 bytes, if not of a page: the low bits have room for the
    // level.
    std::uint64_t& visits = visits_[state.table.value | state.level];
    if (visits == AddressSpace::kShareLimit) return false;
    ++visits;
    if (tables_ == AddressSpace::kTableLimit) {
      ++skipped_;
      return false;
    }
    ++tables_;
    return true;
  }

  const guest::Memory& memory_;
  const Format& format_;
  const Visit& visit_;
  std::optional<Mapping> pending_;
  std::unordered_map<std::uint64_t, std::uint64_t> visits_;
  std::uint64_t tables_ = 0;
  std::uint64_t skipped_ = 0;
};

}  // namespace

std::uint64_t AddressSpace::for_each_mapping(
    VirtAddr first, VirtAddr last, const std::function<bool(const Mapping&)>& visit) const {
  if (format_ == nullptr) return 0;
  // Canonical addresses are two ranges, at both ends of the 64-bit space.
  const VirtAddr low_last((1ULL << format_->address_bits) - 1);
  const VirtAddr high_first(~low_last.value);
  Enumerator enumerator(*memory_, *format_, visit);
  bool go_on = enumerator.list(roots_[0], first, std::min(last, low_last));
  if (format_->has_upper_end) {
    go_on = go_on && enumerator.list(roots_[1], std::max(first, high_first), last);
  }
  if (go_on) enumerator.finish();
  return enumerator.skipped();
}

}  // namespace engram::paging
