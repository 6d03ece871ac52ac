// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/arm64.h"

#include <algorithm>

namespace engram::paging {
namespace {

// Arm Architecture Reference Manual for A-profile, D8.3 "Translation table descriptor formats".
constexpr std::uint64_t kValid = 1U << 0U;
constexpr std::uint64_t kTable = 1U << 1U;         // at level 1: a page, and never clear
constexpr std::uint64_t kUser = 1U << 6U;          // AP[1]
constexpr std::uint64_t kReadOnly = 1U << 7U;      // AP[2]
constexpr std::uint64_t kDirtied = 1ULL << 51U;    // DBM: AP[2] is cleared by the first write
constexpr std::uint64_t kNoExecute = 3ULL << 53U;  // PXN and UXN
// Of a table: what all pages behind it are not allowed.
constexpr std::uint64_t kNoExecuteTable = 3ULL << 59U;
constexpr std::uint64_t kNoUserTable = 1ULL << 61U;
constexpr std::uint64_t kReadOnlyTable = 1ULL << 62U;

constexpr unsigned kLeastBits = 36, kMostBits = 48, kWideBits = 52;
constexpr unsigned kPage64K = 16;

constexpr std::uint64_t bits_from_to(unsigned first, unsigned behind) {
  return (std::uint64_t{1} << behind) - (std::uint64_t{1} << first);
}

/// The output address of a descriptor. Where its 52 bits do not fit (FEAT_LPA, FEAT_LPA2) the upper
/// ones stand in bits that are otherwise free. The contiguous bit (52) is a hint.
template <unsigned page_bits, bool is_wide>
constexpr std::uint64_t output_address(std::uint64_t entry) {
  if constexpr (page_bits == kPage64K) {
    return (entry & bits_from_to(page_bits, 48)) | (entry & bits_from_to(12, 16)) << 36U;
  }
  if constexpr (is_wide) {
    return (entry & bits_from_to(page_bits, 50)) | (entry & bits_from_to(8, 10)) << 42U;
  }
  return entry & bits_from_to(page_bits, 48);
}

/// The highest level whose entries may be blocks: of 1 GiB, 32 MiB, 512 MiB; with addresses of 52
/// bits one level more.
constexpr unsigned highest_block(unsigned page_bits, bool is_wide) {
  return (page_bits == 12 ? 3U : 2U) + (is_wide ? 1U : 0U);
}

template <unsigned page_bits, bool is_wide>
Entry decode(std::uint64_t entry, unsigned level) {
  if ((entry & kValid) == 0) return {};
  const std::uint64_t address = output_address<page_bits, is_wide>(entry);
  const bool is_table = (entry & kTable) != 0;
  if (level > 1 && is_table) {
    const Access access{.writable = (entry & kReadOnlyTable) == 0,
                        .executable = (entry & kNoExecuteTable) != kNoExecuteTable,
                        .user = (entry & kNoUserTable) == 0};
    return {Entry::Kind::table, access, PhysAddr(address)};
  }
  if ((level == 1) != is_table || level > highest_block(page_bits, is_wide)) {
    return {Entry::Kind::reserved_bits, {}, {}};
  }
  // Executable by the kernel or by user code: nobody's if both bits are set.
  const Access access{.writable = (entry & kReadOnly) == 0 || (entry & kDirtied) != 0,
                      .executable = (entry & kNoExecute) != kNoExecute,
                      .user = (entry & kUser) != 0};
  // Bits of a block's address below its size mean other things, if anything (nT, bit 16).
  const unsigned shift = page_bits + (page_bits - 3) * (level - 1);
  return {Entry::Kind::page, access, PhysAddr(address >> shift << shift)};
}

template <unsigned page_bits, unsigned address_bits>
constexpr Format make_format() {
  constexpr unsigned kIndexBits = page_bits - 3;  // a table fills a page
  constexpr bool kIsWide = address_bits > kMostBits;
  Format format{};
  format.address_bits = address_bits;
  format.has_upper_end = true;
  format.tag_bits = 8;
  format.entry_shift = kWordShift;
  format.decode = decode<page_bits, kIsWide>;
  unsigned shift = page_bits, root_bits = 0;
  for (; shift < address_bits; shift += kIndexBits) {
    // The root has as many entries as are left.
    const unsigned count = std::min(kIndexBits, address_bits - shift);
    format.index_bits[format.levels++] = {static_cast<std::uint8_t>(shift),
                                          static_cast<std::uint16_t>((1U << count) - 1)};
    root_bits = count + kWordShift;
  }
  // TTBRn_EL1: bit 0 is CnP, 63:48 are the ASID. A root begins at a multiple of its size, and of
  // 64 bytes. Bits 51:48 of the root's address, which may stand in bits 5:2, are taken for zero.
  format.root_mask = bits_from_to(std::max(root_bits, 6U), 48);
  return format;
}

template <unsigned page_bits, std::size_t... offsets>
constexpr auto make_formats(std::index_sequence<offsets...> /*unused*/) {
  return std::array{make_format<page_bits, kLeastBits + offsets>()...,
                    make_format<page_bits, kWideBits>()};
}

template <unsigned page_bits>
const Format* find(unsigned address_bits) {
  constexpr auto kUsual = kMostBits - kLeastBits + 1;
  static constexpr auto kFormats = make_formats<page_bits>(std::make_index_sequence<kUsual>());
  if (address_bits == kWideBits) return &kFormats.back();
  if (address_bits < kLeastBits || address_bits > kMostBits) return nullptr;
  return &kFormats[address_bits - kLeastBits];
}

}  // namespace

const Format* find_arm64_format(unsigned page_bits, unsigned address_bits) {
  switch (page_bits) {
    case 12:
      return find<12>(address_bits);
    case 14:
      return find<14>(address_bits);
    case kPage64K:
      return find<kPage64K>(address_bits);
    default:
      return nullptr;
  }
}

}  // namespace engram::paging
