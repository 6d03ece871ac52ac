// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/address_space.h"

#include <algorithm>
#include <array>
#include <bit>

#include "paging/arm64.h"
#include "paging/format.h"
#include "paging/walk_cache.h"
#include "paging/windows.h"
#include "paging/x86.h"
#include "paging/x86_64.h"

namespace engram::paging {
namespace {

// The pieces of address space that tables of level 1 are looked up by.
constexpr std::uint64_t kTableSpan = 2 * kMiB;

tl::unexpected<Fault> not_an_address(VirtAddr address) {
  return tl::unexpected(Fault{address, Reason::non_canonical, 0, {}, 0});
}

tl::unexpected<Fault> entry_fault(const guest::Memory& memory, std::size_t entry_size,
                                  VirtAddr address, unsigned level, PhysAddr at) {
  std::array<std::byte, sizeof(std::uint64_t)> entry;
  const bool absent = guest::is_absent(memory.read(at, std::span(entry).first(entry_size)).stop);
  const Reason reason = absent ? Reason::table_absent : Reason::table_unreadable;
  return tl::unexpected(Fault{address, reason, level, at, 0});
}

Reason reason_of(Entry::Kind kind) {
  switch (kind) {
    case Entry::Kind::prototype:
      return Reason::prototype;
    case Entry::Kind::page_file:
      return Reason::page_file;
    case Entry::Kind::demand_zero:
      return Reason::demand_zero;
    case Entry::Kind::reserved_bits:
      return Reason::reserved_bits;
    case Entry::Kind::not_present:
    case Entry::Kind::table:
    case Entry::Kind::page:
      break;
  }
  return Reason::not_present;
}

Fault page_fault(VirtAddr address, PhysAddr physical, mapping::MemoryErrc stop) {
  return {address, guest::is_absent(stop) ? Reason::page_absent : Reason::page_unreadable, 0,
          physical, 0};
}

// A cached step in one word: physical address 51:12, page shift 8:3 (0: a table), rights 2:0.
constexpr std::uint64_t kWritable = 1U << 0U;
constexpr std::uint64_t kExecutable = 1U << 1U;
constexpr std::uint64_t kUser = 1U << 2U;
constexpr unsigned kShiftAt = 3;
constexpr std::uint64_t kShiftMask = 63;

std::uint64_t pack(PhysAddr physical, Access access, std::uint64_t page_size) {
  const auto shift = page_size == 0 ? 0U : static_cast<unsigned>(std::countr_zero(page_size));
  return physical.value | (access.writable ? kWritable : 0) |
         (access.executable ? kExecutable : 0) | (access.user ? kUser : 0) |
         static_cast<std::uint64_t>(shift) << kShiftAt;
}

/// The `span` bytes of `page` around the address that it was found for.
std::uint64_t pack_piece(const Translation& page, std::uint64_t span) {
  return pack(PhysAddr(align_down(page.physical.value, span)), page.access, page.page_size);
}

constexpr PhysAddr packed_physical(std::uint64_t step) {
  return PhysAddr(align_down(step, kPageSize));
}
constexpr unsigned packed_shift(std::uint64_t step) {
  return step >> kShiftAt & kShiftMask;
}
constexpr Access packed_access(std::uint64_t step) {
  return {.writable = (step & kWritable) != 0,
          .executable = (step & kExecutable) != 0,
          .user = (step & kUser) != 0};
}

/// `step` stands for `span` bytes of address space.
PhysAddr physical_of(std::uint64_t step, VirtAddr address, std::uint64_t span) {
  return packed_physical(step) + offset_in(span, address);
}
Translation unpack(std::uint64_t step, VirtAddr address, std::uint64_t span) {
  return {physical_of(step, address, span), 1ULL << packed_shift(step), packed_access(step)};
}

}  // namespace

const Format* find_format(const Mode& mode) {
  if (mode.software == Software::windows) return find_windows_format(mode);
  switch (mode.architecture) {
    case Architecture::x86_64:
      return find_x86_64_format(mode.levels, mode.software);
    case Architecture::x86:
      return find_x86_format(mode.levels);
    case Architecture::arm64: {
      const Format* format = find_arm64_format(mode.page_bits, mode.address_bits);
      return format != nullptr && format->levels == mode.levels ? format : nullptr;
    }
    case Architecture::unknown:
      break;
  }
  return nullptr;
}

Mode arm64_mode(unsigned page_bits, unsigned address_bits) {
  const Format* format = find_arm64_format(page_bits, address_bits);
  return {Architecture::arm64, format == nullptr ? 0 : format->levels, Software::any, page_bits,
          address_bits};
}

namespace {

/// descend() for entries of one size. With loads of two sizes in it the loop takes twice the time.
template <unsigned entry_shift>
[[gnu::always_inline]] inline Result<Translation, Fault> descend_by(const guest::Memory& memory,
                                                                    const Format& format,
                                                                    VirtAddr address,
                                                                    WalkState& state) {
  auto [table, level, access] = state;
  while (true) {
    const PhysAddr at = format.entry_at(table, address, level);
    std::optional<std::uint64_t> word;
    if constexpr (entry_shift == kWordShift) {
      word = memory.load_word(at);
    } else {
      word = load_half_word(memory, at);
    }
    if (!word) return entry_fault(memory, format.entry_size(), address, level, at);
    const Entry entry = format.decode(*word, level);
    switch (entry.kind) {
      case Entry::Kind::table:
        table = entry.physical;
        --level;
        access = both(access, entry.access);
        continue;
      case Entry::Kind::page: {
        state = {table, level, access};
        const std::uint64_t size = format.span(level);
        return Translation{entry.physical + offset_in(size, address), size,
                           both(access, entry.access)};
      }
      case Entry::Kind::not_present:
      case Entry::Kind::prototype:
      case Entry::Kind::page_file:
      case Entry::Kind::demand_zero:
      case Entry::Kind::reserved_bits:
        return tl::unexpected(Fault{address, reason_of(entry.kind), level, at, *word});
    }
  }
}

[[gnu::noinline]] Result<Translation, Fault> descend_half_words(const guest::Memory& memory,
                                                                const Format& format,
                                                                VirtAddr address,
                                                                WalkState& state) {
  return descend_by<kWordShift - 1>(memory, format, address, state);
}

}  // namespace

Result<Translation, Fault> descend(const guest::Memory& memory, const Format& format,
                                   VirtAddr address, WalkState& state) {
  if (format.entry_shift != kWordShift) {
    return descend_half_words(memory, format, address, state);
  }
  return descend_by<kWordShift>(memory, format, address, state);
}

Result<Translation, Fault> walk(const guest::Memory& memory, Mode mode, PhysAddr root,
                                VirtAddr address) {
  return AddressSpace(memory, mode, root, false).translate(address);
}

/// Two tables, so that a search through the direct map (large pages) does not evict the small
/// pages.
class AddressSpace::Cache {
 public:
  /// Calls `found` with the packed step of `address` and the bytes that it stands for.
  template <class Found>
  [[nodiscard]] bool find(VirtAddr address, Found found) const {
    if (const auto step = pages_.find(address.value / kPageSize)) {
      found(*step, kPageSize);
      return true;
    }
    const auto step = tables_.find(address.value / kTableSpan);
    if (!step || packed_shift(*step) == 0) return false;
    found(*step, kTableSpan);
    return true;
  }

  /// The table of level 1 that translates `address`.
  [[nodiscard]] std::optional<WalkState> find_table(VirtAddr address) const {
    const auto step = tables_.find(address.value / kTableSpan);
    if (!step || packed_shift(*step) != 0) return std::nullopt;
    return WalkState{packed_physical(*step), 1, packed_access(*step)};
  }

  void store_page(VirtAddr address, const Translation& page) {
    if (page.page_size < kTableSpan) {
      pages_.store(address.value / kPageSize, pack_piece(page, kPageSize));
    } else {
      tables_.store(address.value / kTableSpan, pack_piece(page, kTableSpan));
    }
  }
  void store_table(VirtAddr address, const WalkState& table) {
    tables_.store(address.value / kTableSpan, pack(table.table, table.access, 0));
  }

 private:
  static constexpr std::size_t kSlots = 2048;

  WalkCache<kSlots> pages_;  ///< by 4 KiB: 8 MiB of small pages, or of pieces of them
  WalkCache<kSlots>
      tables_;  ///< by 2 MiB: the table of level 1, or that piece of a large page; 4 GiB
};

AddressSpace::AddressSpace(const guest::Memory& memory, Mode mode, Roots roots, bool cached)
    : memory_(&memory),
      mode_(mode),
      format_(find_format(mode)),
      roots_{roots.lower, roots.upper},
      cache_(cached && format_ != nullptr ? std::make_shared<Cache>() : nullptr) {
  if (format_ == nullptr) return;
  for (PhysAddr& root : roots_) root = root & format_->root_mask;
}

[[gnu::always_inline]] inline WalkState AddressSpace::start_at_root(VirtAddr address) const {
  return {roots_[format_->is_upper(address) ? 1 : 0], format_->levels};
}

Result<Translation, Fault> AddressSpace::translate(VirtAddr address) const {
  if (cache_ != nullptr) {
    Translation found;
    const auto take = [&](std::uint64_t step, std::uint64_t span) {
      found = unpack(step, address, span);
    };
    if (cache_->find(address, take)) return found;
  }
  return translate_uncached(address);
}

AddressSpace AddressSpace::of_pieces(const guest::Memory& pieces, Architecture architecture) {
  AddressSpace space(pieces, {architecture, 0, Software::any}, PhysAddr(0), false);
  space.is_of_pieces_ = true;
  return space;
}

Result<Translation, Fault> AddressSpace::translate_uncached(VirtAddr address) const {
  if (is_of_pieces()) return tl::unexpected(Fault{address, Reason::no_tables, 0, {}, 0});
  if (format_ == nullptr || !format_->is_canonical(address)) return not_an_address(address);
  if (cache_ == nullptr) {
    WalkState state = start_at_root(address);
    return descend(*memory_, *format_, address, state);
  }
  const auto table = cache_->find_table(address);
  WalkState state = table.value_or(start_at_root(address));
  auto page = descend(*memory_, *format_, address, state);
  if (!page) return page;
  cache_->store_page(address, *page);
  if (state.level == 1 && !table) cache_->store_table(address, state);
  return page;
}

ReadOutcome AddressSpace::read(VirtAddr from, MutableBytes to) const {
  if (is_of_pieces()) {
    const auto got = memory_->read(PhysAddr(from.value), to);
    if (got.complete()) return {got.count, std::nullopt};
    const VirtAddr bad = from + got.count;
    const bool is_absent = guest::is_absent(got.stop);
    return {got.count,
            Fault{bad, is_absent ? Reason::no_piece : Reason::piece_unreadable, 0, {}, 0}};
  }
  std::size_t done = 0;
  while (done < to.size()) {
    const VirtAddr at = from + done;
    const auto page = translate(at);
    if (!page) return {done, page.error()};
    const std::uint64_t in_page = page->page_size - offset_in(page->page_size, at);
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(in_page, to.size() - done));
    const auto got = memory_->read(page->physical, to.subspan(done, count));
    done += got.count;
    if (!got.complete()) {
      return {done, page_fault(at + got.count, page->physical + got.count, got.stop)};
    }
  }
  return {done, std::nullopt};
}

Result<void, Fault> AddressSpace::read_exact(VirtAddr from, MutableBytes to) const {
  const ReadOutcome outcome = read(from, to);
  if (outcome.fault) return tl::unexpected(*outcome.fault);
  return {};
}

std::optional<std::uint64_t> AddressSpace::load_aligned(VirtAddr from) const {
  if (is_of_pieces()) return memory_->load_word(PhysAddr(from.value));
  PhysAddr physical;
  const auto take = [&](std::uint64_t step, std::uint64_t span) {
    physical = physical_of(step, from, span);
  };
  if (cache_ == nullptr || !cache_->find(from, take)) {
    const auto page = translate_uncached(from);
    if (!page) return std::nullopt;
    physical = page->physical;
  }
  return memory_->load_word(physical);
}

VirtAddr AddressSpace::last_alike(const Fault& fault) const {
  const std::uint64_t address = fault.address.value;
  if (fault.reason == Reason::no_piece) {
    const guest::Region* const next = memory_->find_behind(PhysAddr(address));
    return VirtAddr(next == nullptr ? ~std::uint64_t{0} : next->start.value - 1);
  }
  if (fault.reason != Reason::non_canonical) {
    const bool is_page = fault.level == 0 || format_ == nullptr;
    return VirtAddr(address | ((is_page ? kPageSize : format_->span(fault.level)) - 1));
  }
  if (format_ == nullptr) return VirtAddr(~std::uint64_t{0});
  // Up to the upper end, which has as many addresses as the lower one; or to the end of all (with
  // the same tag).
  const std::uint64_t all = ~std::uint64_t{0} >> format_->tag_bits;
  const std::uint64_t upper = all - ((std::uint64_t{1} << format_->address_bits) - 1);
  const std::uint64_t last = format_->has_upper_end ? upper - 1 : all;
  return VirtAddr((address & ~all) | last);
}

Result<std::string, Fault> AddressSpace::load_text(VirtAddr from, std::size_t limit) const {
  constexpr std::size_t kStep = 256;  // most names are shorter
  std::array<std::byte, kStep> buffer;
  std::string text;
  while (text.size() < limit) {
    const auto count = std::min(kStep, limit - text.size());
    const ReadOutcome got = read(from + text.size(), std::span(buffer).first(count));
    const std::string_view piece = text_until_nul(Bytes(buffer).first(got.count));
    text += piece;
    if (piece.size() < got.count) return text;
    if (got.fault) return tl::unexpected(*got.fault);
  }
  return text;
}

std::string to_string(const Fault& fault) {
  const std::uint64_t address = fault.address.value;
  const std::uint64_t at = fault.entry_address.value;
  const auto entry = [&](const char* what) {
    return fmt::format("{:#x}: page-table entry at {:#x}, level {}, {} ({:#x})", address, at,
                       fault.level, what, fault.entry);
  };
  const auto table = [&](const char* what) {
    return fmt::format("{:#x}: page table of level {} with the entry at {:#x} {}", address,
                       fault.level, at, what);
  };
  const auto page = [&](bool absent) {
    return fmt::format("{:#x}: physical address {:#x} is {}", address, at,
                       guest::absence_text(absent));
  };
  switch (fault.reason) {
    case Reason::non_canonical:
      return fmt::format("{:#x}: not an address of this paging mode", address);
    case Reason::not_present:
      return entry("is not present");
    case Reason::prototype:
      return entry("leads to a prototype entry of a shared page");
    case Reason::page_file:
      return entry("leads into a page file");
    case Reason::demand_zero:
      return entry("is of a page that was never touched");
    case Reason::reserved_bits:
      return entry("has reserved bits set");
    case Reason::table_absent:
      return table("is not in the image");
    case Reason::table_unreadable:
      return table("is not readable (the image file is cut or failing)");
    case Reason::page_absent:
      return page(true);
    case Reason::page_unreadable:
      return page(false);
    case Reason::no_tables:
      return fmt::format("{:#x}: the image has no page tables", address);
    case Reason::no_piece:
      return fmt::format("{:#x}: in none of the pieces of virtual memory that the image has",
                         address);
    case Reason::piece_unreadable:
      return fmt::format("{:#x}: {}", address, guest::absence_text(false));
  }
  return fmt::format("{:#x}: unknown fault", address);
}

}  // namespace engram::paging
