// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kernel_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <tuple>
#include <utility>

#include "guest/scan.h"

namespace engram::kernel {
namespace {

// Documentation/arch/x86/x86_64/mm.rst: the kernel image lies in 1 GiB at __START_KERNEL_map,
// modules above it.
constexpr VirtAddr kImageFirst{0xffffffff80000000};
constexpr VirtAddr kImageLast{0xffffffffbfffffff};
// Where vmlinux is linked with the default CONFIG_PHYSICAL_START (16 MiB).
constexpr VirtAddr kLinkAddress{0xffffffff81000000};
// Direct map without KASLR: __PAGE_OFFSET_BASE_L4 and _L5.
constexpr VirtAddr kDirectMap4{0xffff888000000000};
constexpr VirtAddr kDirectMap5{0xff11000000000000};
// struct pages without KASLR: __VMEMMAP_BASE_L4 and _L5.
constexpr VirtAddr kPageArray4{0xffffea0000000000};
constexpr VirtAddr kPageArray5{0xffd4000000000000};

constexpr std::uint64_t kAddressBits = 0x000ffffffffff000;
constexpr std::uint64_t kPcidAndFlags = 0xfff;
// With page-table isolation a process has two roots, the user's 4 KiB behind the kernel's
// (PTI_USER_PGTABLE_BIT).
constexpr std::uint64_t kUserRootBit = 0x1000;
constexpr std::uint64_t kCr4La57 = 1U << 12U;
// Less than this is a trampoline or the entry code that user page tables share, not a kernel.
constexpr std::uint64_t kLeastImage = 4 * kMiB;
constexpr std::uint64_t kMostImage = 512 * kMiB;
constexpr std::size_t kMappingLimit = 100'000;
// Each candidate is searched for symbols: memory that is made of lookalikes must not take for ever.
constexpr std::size_t kCandidateLimit = 8;
// Each root costs up to 512 page tables to look at, and every page may look like a root. All those
// of one kernel share the table of the image's 1 GiB, so that a real image has a handful.
constexpr std::size_t kRootLimit = 1024;

std::optional<std::uint64_t> parse(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (result.ec != std::errc() || result.ptr == text.data()) return std::nullopt;
  return value;
}

// NUMBER(phys_base) is printed signed: an image below its link address has a negative one.
std::optional<std::uint64_t> parse_signed(std::string_view text) {
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 10);
  if (result.ec != std::errc()) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

std::uint64_t mapped_bytes(const KernelMap& map) {
  std::uint64_t bytes = 0;
  for (const auto& mapping : map.image) bytes += mapping.size;
  return bytes;
}

/// The kernel image as this root maps it; nothing if what is mapped there cannot be one.
std::optional<KernelMap> map_at(const guest::Memory& memory, paging::Mode mode, PhysAddr root,
                                std::string how) {
  const paging::AddressSpace space(memory, mode, root, /*cached=*/false);
  KernelMap map{mode, root, {}, std::move(how)};
  bool executable = false;
  space.for_each_mapping(kImageFirst, kImageLast, [&](const paging::Mapping& mapping) {
    map.image.push_back(mapping);
    executable |= mapping.access.executable;
    return map.image.size() < kMappingLimit;
  });
  const std::uint64_t mapped = mapped_bytes(map);
  if (!executable || mapped < kLeastImage || mapped > kMostImage) return std::nullopt;
  if (map.image.size() == kMappingLimit) return std::nullopt;
  return map;
}

class Offer {
 public:
  Offer(const guest::Memory& memory, Diagnostics& diagnostics,
        const std::function<bool(const KernelMap&)>& accept)
      : memory_(memory), diagnostics_(diagnostics), accept_(accept) {}

  /// True if the candidate was accepted.
  bool operator()(paging::Mode mode, PhysAddr root, const std::string& how) {
    const auto map = map_at(memory_, mode, root, how);
    const auto text = fmt::format("{}: root 0x{:x}, {} levels", how, root.value, mode.levels);
    if (!map) {
      diagnostics_.add(Level::debug, "kernel", text + ": no kernel image is mapped there",
                       root.value);
      return false;
    }
    // Each process has a root of its own that maps the same image: one look at an image is enough.
    const auto& first = map->image.front();
    const std::tuple image(first.start, first.physical, mapped_bytes(*map));
    if (std::find(seen_.begin(), seen_.end(), image) != seen_.end()) return false;
    if (seen_.size() == kCandidateLimit) return false;
    seen_.push_back(image);
    const bool accepted = accept_(*map);
    diagnostics_.add(
        accepted ? Level::info : Level::warning, "kernel",
        fmt::format("{}: kernel image at 0x{:x}, physical 0x{:x}: {}", text, first.start.value,
                    first.physical.value, accepted ? "taken" : "not usable"),
        root.value);
    return accepted;
  }

  /// Says that the scan ended at `page` before memory did.
  void give_up(PhysAddr page) {
    diagnostics_.add(
        Level::warning, "kernel",
        fmt::format("scan: stopped at 0x{:x}, after {} page tables that lead to no kernel",
                    page.value, kRootLimit),
        page.value);
  }

 private:
  const guest::Memory& memory_;
  Diagnostics& diagnostics_;
  const std::function<bool(const KernelMap&)>& accept_;
  std::vector<std::tuple<VirtAddr, PhysAddr, std::uint64_t>> seen_;
};

bool offer_vmcoreinfo(const image::Facts& facts, Offer& offer) {
  if (!facts.vmcoreinfo) return false;
  const auto table = vmcoreinfo_value(*facts.vmcoreinfo, "SYMBOL(swapper_pg_dir)");
  const auto base = vmcoreinfo_value(*facts.vmcoreinfo, "NUMBER(phys_base)");
  const auto five = vmcoreinfo_value(*facts.vmcoreinfo, "NUMBER(pgtable_l5_enabled)");
  const auto address = table ? parse(*table, 16) : std::nullopt;
  const auto phys_base = base ? parse_signed(*base) : std::nullopt;
  if (!address || !phys_base) return false;
  const PhysAddr root(*address - kImageFirst.value + *phys_base);
  return offer({Architecture::x86_64, five && *five == "1" ? 5U : 4U}, root, "VMCOREINFO note");
}

bool offer_registers(const image::Facts& facts, Offer& offer) {
  for (const auto& cpu : facts.cpus) {
    if (!cpu.control) continue;
    const paging::Mode mode{Architecture::x86_64, (cpu.control->cr4 & kCr4La57) != 0 ? 5U : 4U};
    const std::uint64_t cr3 = cpu.control->cr3 & ~kPcidAndFlags;
    const auto how = fmt::format("CR3 of CPU {} ({} note)", cpu.cpu, cpu.source);
    if (offer(mode, PhysAddr(cr3), how)) return true;
    if ((cr3 & kUserRootBit) != 0 &&
        offer(mode, PhysAddr(cr3 & ~kUserRootBit), how + ", kernel half"))
      return true;
  }
  return false;
}

/// The table that entry `index` of `table` points at; nothing if it cannot be one that leads to
/// kernel text.
std::optional<PhysAddr> next_table(const guest::Memory& memory, PhysAddr table, unsigned index) {
  constexpr std::uint64_t kPresent = 1, kLarge = 1U << 7U, kNoExecute = std::uint64_t{1} << 63U;
  const auto entry = memory.load_word(table + index * 8ULL);
  if (!entry || (*entry & (kPresent | kLarge | kNoExecute)) != kPresent) return std::nullopt;
  return PhysAddr(*entry & kAddressBits);
}

/// The table of the image's 1 GiB (0xffffffff80000000: entry 510 of the last upper table) under
/// this root, if there is one.
std::optional<PhysAddr> image_table(const guest::Memory& memory, unsigned levels, PhysAddr root) {
  std::optional<PhysAddr> table = root;
  for (unsigned level = levels; table && level > 3; --level)
    table = next_table(memory, *table, 511);
  return table ? next_table(memory, *table, 510) : std::nullopt;
}

// Every root leads to the kernel image by its last entry. The first such page is, as a rule, the
// real-mode trampoline's root below 1 MiB (trampoline_pgd in arch/x86/realmode/init.c shares the
// last entry of init_top_pgt), so that the scan ends after some hundred pages and its cost does not
// grow with the image.
bool offer_scan(const guest::Memory& memory, Offer& offer, PhysAddr last) {
  std::set<std::pair<PhysAddr, unsigned>> seen;  // tables of an image, and levels above
  bool accepted = false;
  const auto leads_on = [&](PhysAddr page) { return next_table(memory, page, 511).has_value(); };
  guest::for_each_stored_page(memory, {last}, leads_on, [&](const guest::StoredPage& stored) {
    const PhysAddr page = stored.frame;
    for (const unsigned levels : {4U, 5U}) {
      const auto table = image_table(memory, levels, page);
      if (!table || !seen.emplace(*table, levels).second) continue;
      accepted = offer({Architecture::x86_64, levels}, page, "scan");
      if (accepted) return false;
      if (seen.size() < kRootLimit) continue;
      offer.give_up(page);
      return false;
    }
    return true;
  });
  return accepted;
}

/// Where a variable that holds an address points, read through `space`.
std::optional<std::uint64_t> variable(const paging::AddressSpace& space,
                                      const types::SymbolTable& symbols, std::string_view name) {
  const auto address = symbols.address_of(name);
  if (!address) return std::nullopt;
  const auto value = space.load<std::uint64_t>(*address);
  if (!value) return std::nullopt;
  return *value;
}

bool maps_physical(const paging::AddressSpace& space, VirtAddr direct_map, PhysAddr physical) {
  const auto translation = space.translate(direct_map + physical.value);
  return translation && translation->physical == physical;
}

}  // namespace

std::optional<std::string_view> vmcoreinfo_value(std::string_view vmcoreinfo,
                                                 std::string_view key) {
  for (std::size_t at = 0; at < vmcoreinfo.size();) {
    const auto end = std::min(vmcoreinfo.find('\n', at), vmcoreinfo.size());
    const auto line = vmcoreinfo.substr(at, end - at);
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == '=') {
      return line.substr(key.size() + 1);
    }
    at = end + 1;
  }
  return std::nullopt;
}

void for_each_kernel_map(const image::Image& image, Diagnostics& diagnostics,
                         const std::function<bool(const KernelMap&)>& accept, Effort effort) {
  Offer offer(image.memory(), diagnostics, accept);
  if (offer_vmcoreinfo(image.facts(), offer)) return;
  if (offer_registers(image.facts(), offer)) return;
  const PhysAddr last(effort == Effort::quick ? kMiB - 1 : ~std::uint64_t{0});
  if (offer_scan(image.memory(), offer, last)) return;
  if (effort == Effort::quick) return;  // whoever wants to know looks further
  diagnostics.add(
      Level::error, "kernel",
      fmt::format("no root found: VMCOREINFO note: {}; CPU registers in notes: {}; scan of {} MiB",
                  image.facts().vmcoreinfo ? "not usable" : "none",
                  image.facts().cpus.empty() ? "none" : "not usable",
                  image.memory().present_bytes() / kMiB));
}

std::optional<KernelMap> kernel_root(const guest::Memory& memory, const KernelMap& found,
                                     const types::SymbolTable& symbols) {
  const paging::AddressSpace space(memory, found.mode, found.root);
  for (const auto name :
       {"init_top_pgt", "swapper_pg_dir", "init_level4_pgt"}) {  // renamed in 4.14 and 4.15
    const auto address = symbols.address_of(name);
    if (!address) continue;
    const auto root = space.translate(*address);
    if (!root) continue;
    for (const unsigned levels : {5U, 4U}) {
      const paging::Mode mode{Architecture::x86_64, levels};
      const paging::AddressSpace candidate(memory, mode, root->physical, /*cached=*/false);
      const auto text = candidate.translate(found.image.front().start);
      if (!text || text->physical != found.image.front().physical) continue;
      return map_at(memory, mode, root->physical,
                    fmt::format("symbol {} (kernel found by {})", name, found.how));
    }
  }
  return std::nullopt;
}

MemoryLayout memory_layout(const paging::AddressSpace& space, const KernelMap& map,
                           const types::SymbolTable& symbols,
                           const std::optional<std::string>& vmcoreinfo) {
  MemoryLayout layout;
  const PhysAddr text = map.image.front().physical;
  // page_offset_base exists with CONFIG_DYNAMIC_MEMORY_LAYOUT, which 5-level paging and KASLR
  // select.
  if (const auto base = variable(space, symbols, "page_offset_base");
      base && maps_physical(space, VirtAddr(*base), text)) {
    layout.direct_map = VirtAddr(*base);
    layout.direct_map_source = "symbol page_offset_base";
  } else if (const auto fixed = map.mode.levels == 5 ? kDirectMap5 : kDirectMap4;
             maps_physical(space, fixed, text)) {
    layout.direct_map = fixed;
    layout.direct_map_source = "the architecture's constant";
  }
  const auto pages = variable(space, symbols, "vmemmap_base");  // which moves with page_offset_base
  layout.page_array = pages ? VirtAddr(*pages) : map.mode.levels == 5 ? kPageArray5 : kPageArray4;
  const auto offset = vmcoreinfo ? vmcoreinfo_value(*vmcoreinfo, "KERNELOFFSET") : std::nullopt;
  if (const auto shift = offset ? parse(*offset, 16) : std::nullopt) {
    layout.kaslr_shift = *shift;
    layout.kaslr_source = "VMCOREINFO KERNELOFFSET";
  } else if (const auto start = symbols.address_of("_text")) {
    layout.kaslr_shift = *start - kLinkAddress;
    layout.kaslr_source = "symbol _text";
  }
  return layout;
}

}  // namespace engram::kernel
