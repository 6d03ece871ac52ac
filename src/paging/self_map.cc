// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/self_map.h"

#include <array>
#include <vector>

#include "guest/scan.h"
#include "paging/format.h"

namespace engram::paging {
namespace {

constexpr unsigned kPaeLevels = 3;
constexpr std::uint64_t kPaeEntries = 4;
constexpr std::uint64_t kPaeRootSize = kPaeEntries * sizeof(std::uint64_t);

using PaeTables = std::array<PhysAddr, kPaeEntries>;

bool is_table_at(const Entry& entry, PhysAddr where) {
  return entry.kind == Entry::Kind::table && entry.physical == where;
}

class Search {
 public:
  Search(const guest::Memory& memory, const SelfMapped& kind,
         const std::function<bool(const FoundRoot&)>& accept)
      : memory_(memory),
        mode_(kind.mode),
        format_(*find_format(kind.mode)),
        known_(kind.known),
        left_(kind.most_bytes / kPageSize),
        accept_(accept) {}

  /// False when enough frames were looked at.
  [[nodiscard]] bool goes_on(PhysAddr frame) {
    if (left_ == 0 || frame.value > format_.root_mask) return false;
    --left_;
    return true;
  }

  [[nodiscard]] std::optional<FoundRoot> root_at(PhysAddr frame) {
    if (is_pae()) return pae_root_of(frame);
    // One word decides for nearly every frame.
    const auto word = format_.load_entry(memory_, format_.entry_at(frame, known_, format_.levels));
    if (!word || *word == 0) return std::nullopt;
    const Entry entry = format_.decode(*word, format_.levels);
    if (entry.kind != Entry::Kind::table && entry.kind != Entry::Kind::page) return std::nullopt;
    return leads_on(entry) && maps_itself(frame) ? accepted(frame) : std::nullopt;
  }

 private:
  [[nodiscard]] bool is_pae() const {
    return mode_.architecture == Architecture::x86 && mode_.levels == kPaeLevels;
  }

  [[nodiscard]] std::optional<FoundRoot> accepted(PhysAddr root) const {
    const FoundRoot found{mode_, root};
    return accept_(found) ? std::optional(found) : std::nullopt;
  }

  /// Whether the table that the entry leads to, if it is one, has something for the known address.
  [[nodiscard]] bool leads_on(const Entry& entry) const {
    if (entry.kind != Entry::Kind::table) return true;
    const unsigned level = format_.levels - 1;
    const auto word = format_.load_entry(memory_, format_.entry_at(entry.physical, known_, level));
    return word && *word != 0;
  }

  [[nodiscard]] bool maps_itself(PhysAddr frame) const {
    std::array<std::byte, kPageSize / 2> half;
    if (!memory_.read(frame + half.size(), half).complete()) return false;
    return format_.entry_shift == kWordShift ? has_itself<std::uint64_t>(half, frame)
                                             : has_itself<std::uint32_t>(half, frame);
  }

  template <class Word>
  [[nodiscard]] bool has_itself(Bytes entries, PhysAddr frame) const {
    // In entries of all kinds: bits of the address. So next to none is decoded.
    constexpr std::uint64_t kOfAddress = 0xffff'f000;
    for (std::size_t at = 0; at < entries.size(); at += sizeof(Word)) {
      const std::uint64_t entry = load_unaligned<Word>(entries.data() + at);
      if (((entry ^ frame.value) & kOfAddress) == 0 && entry != 0 &&
          is_table_at(format_.decode(entry, format_.levels), frame)) {
        return true;
      }
    }
    return false;
  }

  /// What the first four entries of a table lead to, if the last of these leads to the table.
  [[nodiscard]] std::optional<PaeTables> tables_of(PhysAddr frame) const {
    PaeTables tables;
    for (std::uint64_t i = kPaeEntries; i-- > 0;) {
      const auto word = memory_.load_word(frame + i * sizeof(std::uint64_t));
      if (!word || *word == 0) return std::nullopt;
      const Entry entry = format_.decode(*word, kPaeLevels - 1);
      if (entry.kind != Entry::Kind::table) return std::nullopt;
      if (i == kPaeEntries - 1 && entry.physical != frame) return std::nullopt;
      tables[i] = entry.physical;
    }
    return tables;
  }

  [[nodiscard]] bool is_pae_root(PhysAddr at, const PaeTables& tables) const {
    for (std::uint64_t i = kPaeEntries; i-- > 0;) {
      const auto word = memory_.load_word(at + i * sizeof(std::uint64_t));
      if (!word || !is_table_at(format_.decode(*word, kPaeLevels), tables[i])) return false;
    }
    return true;
  }

  /// The root of 32 bytes that leads to the same tables may be anywhere below 4 GiB.
  [[nodiscard]] std::optional<FoundRoot> pae_root_of(PhysAddr frame) {
    const auto tables = tables_of(frame);
    if (!tables || tables_seen_ == kMostTables) return std::nullopt;
    ++tables_seen_;
    for (const guest::Region& region : memory_.regions()) {
      if (!region.is_stored() || region.start.value > format_.root_mask) continue;
      const std::uint64_t before = -region.start.value % kPaeRootSize;
      for (std::uint64_t at = before; at + kPaeRootSize <= region.size; at += kPaeRootSize) {
        const PhysAddr root = region.start + at;
        if (root.value > format_.root_mask) break;
        if (!is_pae_root(root, *tables)) continue;
        if (auto found = accepted(root)) return found;
      }
    }
    return std::nullopt;
  }

  const guest::Memory& memory_;
  Mode mode_;
  const Format& format_;
  VirtAddr known_;
  std::uint64_t left_;
  unsigned tables_seen_ = 0;
  const std::function<bool(const FoundRoot&)>& accept_;
};

}  // namespace

std::optional<FoundRoot> find_self_mapped_root(
    const guest::Memory& memory, std::span<const SelfMapped> kinds,
    const std::function<bool(const FoundRoot&)>& accept) {
  std::vector<Search> searches;
  for (const SelfMapped& kind : kinds) {
    if (find_format(kind.mode) != nullptr) searches.emplace_back(memory, kind, accept);
  }
  std::optional<FoundRoot> found;
  guest::for_each_stored_page(memory, [&](PhysAddr frame) {
    bool goes_on = false;
    for (Search& search : searches) {
      if (found || !search.goes_on(frame)) continue;
      goes_on = true;
      found = search.root_at(frame);
    }
    return goes_on && !found;
  });
  return found;
}

}  // namespace engram::paging
