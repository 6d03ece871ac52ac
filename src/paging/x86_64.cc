// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/x86_64.h"

namespace engram::paging {
namespace {

// Intel SDM volume 3, 4.5.4 "Linear-Address Translation with 4-Level Paging and 5-Level Paging",
// tables 4-14 (PML5E) to 4-20 (PTE).
constexpr std::uint64_t kPresent = 1U << 0U;
constexpr std::uint64_t kWritable = 1U << 1U;
constexpr std::uint64_t kUser = 1U << 2U;
constexpr std::uint64_t kPageSizeBit = 1U << 7U;  // in a PTE the same bit is PAT
constexpr std::uint64_t kLargePagePat = 1U << 12U;
constexpr std::uint64_t kNoExecute = 1ULL << 63U;
// Bits 51:12; 62:52 are for software and protection keys. Where MAXPHYADDR is below 52 the bits
// above it are reserved; an image does not say what it was, so such an address is just not there.
constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000ULL;
// The highest level whose entries may map a page: PDPTE.PS is 1 GiB, bit 7 above it is reserved.
constexpr unsigned kHighestPageLevel = 3;

// What Linux sets in the entry of a page that is there, but that nobody may touch for now: with
// PROT_NONE, and while NUMA balancing waits for who touches it. pte_present() in
// arch/x86/include/asm/pgtable.h; entries of pages that were swapped out have it clear.
constexpr std::uint64_t kNoAccess = 1U << 8U;  // _PAGE_PROTNONE

Entry decode_present(std::uint64_t entry, unsigned level) {
  const Access access{.writable = (entry & kWritable) != 0,
                      .executable = (entry & kNoExecute) == 0,
                      .user = (entry & kUser) != 0};
  const PhysAddr physical(entry & kAddressMask);
  if (level == 1) return {Entry::Kind::page, access, physical};
  if ((entry & kPageSizeBit) == 0) return {Entry::Kind::table, access, physical};
  if (level > kHighestPageLevel) return {Entry::Kind::reserved_bits, {}, {}};

  const PhysAddr page(physical.value & ~kLargePagePat);
  const std::uint64_t below_page =
      (level == 2 ? 2 * kMiB : kGiB) - 1;  // bits 20:13 or 29:13 must be zero
  if ((page.value & below_page) != 0) return {Entry::Kind::reserved_bits, {}, {}};
  return {Entry::Kind::page, access, page};
}

Entry decode(std::uint64_t entry, unsigned level) {
  return (entry & kPresent) != 0 ? decode_present(entry, level) : Entry{};
}

Entry decode_linux(std::uint64_t entry, unsigned level) {
  if ((entry & kPresent) != 0) return decode_present(entry, level);
  const bool is_page = level == 1 || (level <= kHighestPageLevel && (entry & kPageSizeBit) != 0);
  if (!is_page || (entry & kNoAccess) == 0) return {};
  // The frame is inverted, so that no processor that reads ahead finds it (L1TF): protnone_mask()
  // in arch/x86/include/asm/pgtable-invert.h, 6b28baca9b1f. Of a large page pmd_modify() and
  // pfn_pud() invert the frame's own bits; pte_modify(), which hugetlbfs uses, those below, too.
  const std::uint64_t below =
      level == 1 ? 0 : kAddressMask & ((level == 2 ? 2 * kMiB : kGiB) - 1) & ~kLargePagePat;
  const std::uint64_t inverted = (entry & below) == 0 ? kAddressMask & ~below : kAddressMask;
  Entry found = decode_present(entry ^ inverted, level);
  found.access = {};
  return found;
}

// CR3: bits 11:0 are PCID or PCD/PWT, 62:61 LAM, 63 says whether a load of CR3 keeps the TLB.
constexpr Format make_format(unsigned levels, unsigned address_bits,
                             Entry (*decoder)(std::uint64_t, unsigned)) {
  return {.levels = levels,
          .address_bits = address_bits,
          .has_upper_end = true,
          .tag_bits = 0,
          .entry_shift = kWordShift,
          .root_mask = kAddressMask,
          .index_bits = index_bits_of_512(),
          .decode = decoder};
}
// One root for both ends: each has half of its entries.
constexpr Format kFourLevels = make_format(4, 47, decode);
constexpr Format kFiveLevels = make_format(5, 56, decode);
constexpr Format kFourLevelsOfLinux = make_format(4, 47, decode_linux);
constexpr Format kFiveLevelsOfLinux = make_format(5, 56, decode_linux);

}  // namespace

const Format* find_x86_64_format(unsigned levels, Software software) {
  const bool is_linux = software == Software::linux_kernel;
  switch (levels) {
    case 4:
      return is_linux ? &kFourLevelsOfLinux : &kFourLevels;
    case 5:
      return is_linux ? &kFiveLevelsOfLinux : &kFiveLevels;
    default:
      return nullptr;
  }
}

}  // namespace engram::paging
