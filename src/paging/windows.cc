// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/windows.h"

#include "paging/arm64.h"
#include "paging/x86.h"
#include "paging/x86_64.h"

namespace engram::paging {
namespace {

// MMPTE_TRANSITION, MMPTE_PROTOTYPE, MMPTE_SOFTWARE and MMPTE_HARDWARE of the public kernel
// symbols. What all have in the same place:
constexpr std::uint64_t kPresent = 1U << 0U;
constexpr std::uint64_t kRightsMask = 7;  // of a protection's five bits; two say how it is cached
constexpr std::uint64_t kPrototype = 1U << 10U;
constexpr std::uint64_t kTransition = 1U << 11U;

/// And what differs.
struct Layout {
  unsigned protection_at;
  std::uint64_t transition_mask;   ///< the address in an entry in transition
  std::uint64_t page_file_offset;  ///< not 0: the page is in a page file
  /// Of a present page: it may be written to, though the processor is to say when that happens
  /// first.
  std::uint64_t writable;
};

struct X8664 {
  // Bits 47:12, but for 45: since the defences against L1TF (2018) a page in transition may have it
  // set so that its address is one that the machine does not have (KDBG: L1tfSwizzleBitPosition).
  static constexpr Layout kLayout{5, 0x0000'dfff'ffff'f000ULL, 0xffff'ffff'0000'0000ULL, 0};
};
struct X86Pae {  // a processor in this mode has no more than 36 bits
  static constexpr Layout kLayout{5, 0x0000'000f'ffff'f000ULL, 0xffff'ffff'0000'0000ULL, 0};
};
struct X86 {
  static constexpr Layout kLayout{5, 0xffff'f000, 0xffff'f000, 0};
};
struct Arm64 {
  static constexpr Layout kLayout{1, 0x000f'ffff'ffff'f000ULL, 0xffff'ffff'0000'0000ULL,
                                  1ULL << 55U};
};

// Values of the three bits.
constexpr bool may_write(std::uint64_t rights) {
  return rights == 4 || rights == 6;  // 5 and 7 write to a copy
}
constexpr bool may_execute(std::uint64_t rights) {
  return rights == 2 || rights == 3 || rights == 6 || rights == 7;
}

Entry decode_software(std::uint64_t entry, const Layout& layout) {
  if ((entry & kPrototype) != 0) return {Entry::Kind::prototype, {}, {}};
  if ((entry & kTransition) != 0) {
    const std::uint64_t rights = entry >> layout.protection_at & kRightsMask;
    // Whether user code may touch it is decided by the levels above.
    const Access access{
        .writable = may_write(rights), .executable = may_execute(rights), .user = true};
    return {Entry::Kind::page, access, PhysAddr(entry & layout.transition_mask)};
  }
  if ((entry & layout.page_file_offset) != 0) return {Entry::Kind::page_file, {}, {}};
  return {entry == 0 ? Entry::Kind::not_present : Entry::Kind::demand_zero, {}, {}};
}

/// The processor's format with the meaning that Windows gives to the rest. Always called with the
/// same one for the same `Of`.
template <class Of>
const Format* with_software(const Format* hardware) {
  static const auto decode_hardware = hardware->decode;
  constexpr auto decode = [](std::uint64_t entry, unsigned level) -> Entry {
    if (level == 1 && (entry & kPresent) == 0) return decode_software(entry, Of::kLayout);
    Entry decoded = decode_hardware(entry, level);
    if (decoded.kind == Entry::Kind::page && (entry & Of::kLayout.writable) != 0) {
      decoded.access.writable = true;
    }
    return decoded;
  };
  static const Format of_windows = [&] {
    Format made = *hardware;
    made.decode = decode;
    return made;
  }();
  return &of_windows;
}

/// TTBR0_EL1 and TTBR1_EL1 have halves of one page, and addresses no tags.
const Format* arm64_hardware() {
  static const Format format = [] {
    Format made = *find_arm64_format(12, 48);
    made.address_bits = 47;
    made.tag_bits = 0;
    return made;
  }();
  return &format;
}

}  // namespace

const Format* find_windows_format(const Mode& mode) {
  switch (mode.architecture) {
    case Architecture::x86_64:
      break;
    case Architecture::x86:
      if (mode.levels == 2) return with_software<X86>(find_x86_format(2));
      return mode.levels == 3 ? with_software<X86Pae>(find_x86_format(3)) : nullptr;
    case Architecture::arm64:
      return mode.levels == 4 ? with_software<Arm64>(arm64_hardware()) : nullptr;
    case Architecture::unknown:
      return nullptr;
  }
  struct FourLevels : X8664 {};  // each has a format of its own
  struct FiveLevels : X8664 {};
  if (mode.levels == 4) return with_software<FourLevels>(find_x86_64_format(4));
  return mode.levels == 5 ? with_software<FiveLevels>(find_x86_64_format(5)) : nullptr;
}

}  // namespace engram::paging
