// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/x86.h"

#include "paging/x86_64.h"

namespace engram::paging {
namespace {

constexpr std::uint64_t kPresent = 1U << 0U;
constexpr std::uint64_t kWritable = 1U << 1U;
constexpr std::uint64_t kUser = 1U << 2U;
constexpr std::uint64_t kPageSizeBit = 1U << 7U;
constexpr Access kAll{.writable = true, .executable = true, .user = true};

// Intel SDM volume 3, 4.3 "32-Bit Paging", tables 4-4 (4-MByte page) to 4-6. CR4.PSE, without which
// bit 7 of a PDE means nothing, is taken for set: kernels set it since the Pentium.
constexpr std::uint64_t kAddressMask = 0xffff'f000;
constexpr std::uint64_t kLargeMask = 0xffc0'0000;
constexpr std::uint64_t kLargeReserved = 1U << 21U;
constexpr unsigned kUpperAt = 13, kUpperTo = 32;  // PSE-36: bits 20:13 are bits 39:32
constexpr std::uint64_t kUpperMask = 0xff;

Entry decode(std::uint64_t entry, unsigned level) {
  if ((entry & kPresent) == 0) return {};
  const Access access{.writable = (entry & kWritable) != 0,
                      .executable = true,  // there is no bit against it
                      .user = (entry & kUser) != 0};
  const PhysAddr physical(entry & kAddressMask);
  if (level == 1) return {Entry::Kind::page, access, physical};
  if ((entry & kPageSizeBit) == 0) return {Entry::Kind::table, access, physical};
  if ((entry & kLargeReserved) != 0) return {Entry::Kind::reserved_bits, {}, {}};
  const std::uint64_t upper = (entry >> kUpperAt & kUpperMask) << kUpperTo;
  return {Entry::Kind::page, access, PhysAddr(upper | (entry & kLargeMask))};
}

// SDM volume 3, 4.4 "PAE Paging", tables 4-8 (PDPTE) to 4-11. A PDPTE has no rights: bits 2:1 and
// 8:5 must be zero. The lower two levels are those of 64-bit mode.
constexpr std::uint64_t kPointerReserved = 0x1e6;
constexpr std::uint64_t kWideAddressMask = 0x000f'ffff'ffff'f000ULL;

Entry decode_pae(std::uint64_t entry, unsigned level) {
  constexpr unsigned kPointers = 3;
  static const Format& wide = *find_x86_64_format(4);
  if (level != kPointers) return wide.decode(entry, level);
  if ((entry & kPresent) == 0) return {};
  if ((entry & kPointerReserved) != 0) return {Entry::Kind::reserved_bits, {}, {}};
  return {Entry::Kind::table, kAll, PhysAddr(entry & kWideAddressMask)};
}

constexpr Format kTwoLevels{.levels = 2,
                            .address_bits = 32,
                            .has_upper_end = false,
                            .tag_bits = 0,
                            .entry_shift = 2,
                            .root_mask = kAddressMask,
                            .index_bits = {{{12, 1023}, {22, 1023}}},
                            .decode = decode};
// CR3: bits 31:5, the root has 32 bytes.
constexpr Format kThreeLevels{.levels = 3,
                              .address_bits = 32,
                              .has_upper_end = false,
                              .tag_bits = 0,
                              .entry_shift = kWordShift,
                              .root_mask = 0xffff'ffe0,
                              .index_bits = {{{12, 511}, {21, 511}, {30, 3}}},
                              .decode = decode_pae};

}  // namespace

const Format* find_x86_format(unsigned levels) {
  switch (levels) {
    case 2:
      return &kTwoLevels;
    case 3:
      return &kThreeLevels;
    default:
      return nullptr;
  }
}

}  // namespace engram::paging
