// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/self_map.h"

#include <algorithm>
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
        pages_(kind.most_bytes / kPageSize),
        accept_(accept) {}

  /// What is behind is not looked at.
  [[nodiscard]] guest::PageLimits limits() const { return {PhysAddr(format_.root_mask), pages_}; }

  /// One word decides for nearly every frame.
  [[nodiscard]] bool may_be_root(PhysAddr frame) const {
    return is_pae() ? last_pae_table_is(frame) : first_entry(frame).has_value();
  }

  [[nodiscard]] std::optional<FoundRoot> root_at(const guest::StoredPage& page) {
    const PhysAddr frame = page.frame;
    if (page.number >= pages_ || frame.value > format_.root_mask) return std::nullopt;
    if (!may_be_root(frame)) return std::nullopt;
    if (is_pae()) return pae_root_of(frame);
    return leads_on(*first_entry(frame)) && maps_itself(frame) ? accepted(frame) : std::nullopt;
  }

 private:
  [[nodiscard]] bool is_pae() const {
    return mode_.architecture == Architecture::x86 && mode_.levels == kPaeLevels;
  }

  [[nodiscard]] std::optional<FoundRoot> accepted(PhysAddr root) const {
    const FoundRoot found{mode_, root};
    return accept_(found) ? std::optional(found) : std::nullopt;
  }

  /// The frame's entry for the known address, if it leads to a table or page.
  [[nodiscard]] std::optional<Entry> first_entry(PhysAddr frame) const {
    const auto word = format_.load_entry(memory_, format_.entry_at(frame, known_, format_.levels));
    if (!word || *word == 0) return std::nullopt;
    const Entry entry = format_.decode(*word, format_.levels);
    const bool leads = entry.kind == Entry::Kind::table || entry.kind == Entry::Kind::page;
    return leads ? std::optional(entry) : std::nullopt;
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

  /// Whether the last of the four tables of a PAE root leads to itself.
  [[nodiscard]] bool last_pae_table_is(PhysAddr frame) const {
    const auto entry = pae_entry(frame, kPaeEntries - 1);
    return entry && entry->physical == frame;
  }

  /// What the first four entries of a table lead to, if they lead to tables.
  [[nodiscard]] std::optional<PaeTables> tables_of(PhysAddr frame) const {
    PaeTables tables;
    for (std::uint64_t i = 0; i < kPaeEntries; ++i) {
      const auto entry = pae_entry(frame, i);
      if (!entry) return std::nullopt;
      tables[i] = entry->physical;
    }
    return tables;
  }

  /// One of them, if it leads to a table.
  [[nodiscard]] std::optional<Entry> pae_entry(PhysAddr frame, std::uint64_t index) const {
    const auto word = memory_.load_word(frame + index * sizeof(std::uint64_t));
    if (!word || *word == 0) return std::nullopt;
    const Entry entry = format_.decode(*word, kPaeLevels - 1);
    return entry.kind == Entry::Kind::table ? std::optional(entry) : std::nullopt;
  }

  [[nodiscard]] bool is_pae_root(Bytes root, const PaeTables& tables) const {
    for (std::size_t i = kPaeEntries; i-- > 0;) {
      const auto word = load_unaligned<std::uint64_t>(root.data() + i * sizeof(std::uint64_t));
      if (!is_table_at(format_.decode(word, kPaeLevels), tables[i])) return false;
    }
    return true;
  }

  /// The root of 32 bytes that leads to the same tables may be anywhere below 4 GiB.
  [[nodiscard]] std::optional<FoundRoot> pae_root_of(PhysAddr frame) {
    const auto tables = tables_of(frame);
    if (!tables || tables_seen_ == kMostTables) return std::nullopt;
    ++tables_seen_;
    std::optional<FoundRoot> found;
    const auto roots_of = [&](PhysAddr page, const auto& use) {
      std::array<std::byte, kPageSize> bytes;
      if (!memory_.read(page, bytes).complete()) return;
      for (std::size_t at = 0; at < kPageSize; at += kPaeRootSize) {
        if (is_pae_root(Bytes(bytes).subspan(at, kPaeRootSize), *tables)) use(page + at);
      }
    };
    const auto has_root = [&](PhysAddr page) {
      bool has = false;
      roots_of(page, [&has](PhysAddr) { has = true; });
      return has;
    };
    const guest::PageLimits limits{PhysAddr(format_.root_mask)};
    guest::for_each_stored_page(memory_, limits, has_root, [&](const guest::StoredPage& page) {
      roots_of(page.frame, [&](PhysAddr root) {
        if (!found) found = accepted(root);
      });
      return !found;
    });
    return found;
  }

  const guest::Memory& memory_;
  Mode mode_;
  const Format& format_;
  VirtAddr known_;
  std::uint64_t pages_;
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
  guest::PageLimits limits{PhysAddr(0), 0};
  for (const Search& search : searches) {
    limits.last = std::max(limits.last, search.limits().last);
    limits.pages = std::max(limits.pages, search.limits().pages);
  }
  const auto may_be_root = [&](PhysAddr frame) {
    return std::any_of(searches.begin(), searches.end(),
                       [frame](const Search& search) { return search.may_be_root(frame); });
  };
  std::optional<FoundRoot> found;
  guest::for_each_stored_page(memory, limits, may_be_root, [&](const guest::StoredPage& page) {
    for (Search& search : searches) {
      if (!found) found = search.root_at(page);
    }
    return !found;
  });
  return found;
}

}  // namespace engram::paging
