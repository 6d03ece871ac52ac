// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/x86_64_windows.h"

#include "paging/x86_64.h"

namespace engram::paging {
namespace {

// MMPTE_TRANSITION, MMPTE_PROTOTYPE and MMPTE_SOFTWARE of the public kernel symbols.
constexpr std::uint64_t kPresent = 1U << 0U;
constexpr unsigned kProtectionAt = 5;  // five bits: three of them rights, two how it is cached
constexpr std::uint64_t kRightsMask = 7;
constexpr std::uint64_t kPrototype = 1U << 10U;
constexpr std::uint64_t kTransition = 1U << 11U;
// Bits 47:12, but for 45: since the defences against L1TF (2018) a page in transition may have it
// set so that its address is one that the machine does not have (KDBG: L1tfSwizzleBitPosition).
constexpr std::uint64_t kTransitionMask = 0x0000'dfff'ffff'f000ULL;
constexpr std::uint64_t kPageFileOffset = 0xffff'ffff'0000'0000ULL;

// Values of the three bits.
constexpr bool may_write(std::uint64_t rights) {
  return rights == 4 || rights == 6;  // 5 and 7 write to a copy
}
constexpr bool may_execute(std::uint64_t rights) {
  return rights == 2 || rights == 3 || rights == 6 || rights == 7;
}

Entry decode_software(std::uint64_t entry) {
  if ((entry & kPrototype) != 0) return {Entry::Kind::prototype, {}, {}};
  if ((entry & kTransition) != 0) {
    const std::uint64_t rights = entry >> kProtectionAt & kRightsMask;
    // Whether user code may touch it is decided by the levels above.
    const Access access{
        .writable = may_write(rights), .executable = may_execute(rights), .user = true};
    return {Entry::Kind::page, access, PhysAddr(entry & kTransitionMask)};
  }
  if ((entry & kPageFileOffset) != 0) return {Entry::Kind::page_file, {}, {}};
  return {entry == 0 ? Entry::Kind::not_present : Entry::Kind::demand_zero, {}, {}};
}

template <unsigned levels>
Entry decode(std::uint64_t entry, unsigned level) {
  static const Format& hardware = *find_x86_64_format(levels);
  if (level == 1 && (entry & kPresent) == 0) return decode_software(entry);
  return hardware.decode(entry, level);
}

template <unsigned levels>
const Format* format() {
  static const Format of_windows = [] {
    Format made = *find_x86_64_format(levels);
    made.decode = decode<levels>;
    return made;
  }();
  return &of_windows;
}

}  // namespace

const Format* find_x86_64_windows_format(unsigned levels) {
  switch (levels) {
    case 4:
      return format<4>();
    case 5:
      return format<5>();
    default:
      return nullptr;
  }
}

}  // namespace engram::paging
