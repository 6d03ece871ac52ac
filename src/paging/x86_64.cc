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

Entry decode(std::uint64_t entry, unsigned level) {
  if ((entry & kPresent) == 0) return {};
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

// CR3: bits 11:0 are PCID or PCD/PWT, 62:61 LAM, 63 says whether a load of CR3 keeps the TLB.
constexpr Format make_format(unsigned levels, unsigned address_bits) {
  return {.levels = levels,
          .address_bits = address_bits,
          .has_upper_end = true,
          .tag_bits = 0,
          .entry_shift = kWordShift,
          .root_mask = kAddressMask,
          .index_bits = index_bits_of_512(),
          .decode = decode};
}
// One root for both ends: each has half of its entries.
constexpr Format kFourLevels = make_format(4, 47);
constexpr Format kFiveLevels = make_format(5, 56);

}  // namespace

const Format* find_x86_64_format(unsigned levels) {
  switch (levels) {
    case 4:
      return &kFourLevels;
    case 5:
      return &kFiveLevels;
    default:
      return nullptr;
  }
}

}  // namespace engram::paging
