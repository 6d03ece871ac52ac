// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Windows crash dumps on disk, as far as physical memory goes. Little-endian. Fields that the
// writer did not set are filled with the text `PAGE`.
// Source: docs/formats/dmp.md, which names the public descriptions that this follows.

#include <array>
#include <cstddef>
#include <cstdint>

namespace engram::image::dmp {

inline constexpr std::uint32_t kSignature = 0x45474150;  // "PAGE", and the filler
inline constexpr std::uint32_t kValid64 = 0x34365544;    // "DU64"
inline constexpr std::uint32_t kValid32 = 0x504D5544;  // "DUMP"; also in the bitmap and RDMP heads
inline constexpr std::uint64_t kFiller64 = 0x4547415045474150;

enum class DumpType : std::uint32_t {
  full = 1,
  summary = 2,
  header = 3,
  triage = 4,
  bitmap_full = 5,
  bitmap_kernel = 6,
  automatic = 7,  // a setting of Windows; the files that it makes say 6
  kernel = 8,
  kernel_and_user = 9,
  complete = 10,
};

inline constexpr std::uint32_t kMachineI386 = 0x14C;
inline constexpr std::uint32_t kMachineAmd64 = 0x8664;
inline constexpr std::uint32_t kMachineArm64 = 0xAA64;

// Of Header64's field Attributes.
inline constexpr std::uint32_t kInsufficientSpace = 1U << 2;
inline constexpr std::uint32_t kEncrypted = 1U << 8;

/// The memory block is a union with 700 bytes: so much room have its head and its runs.
inline constexpr std::size_t kBlockSize = 700;

struct [[gnu::packed]] Run64 {
  std::uint64_t base_page;
  std::uint64_t page_count;
};
struct [[gnu::packed]] Block64 {
  std::uint32_t run_count;
  std::uint32_t padding;
  std::uint64_t page_count;
  std::array<Run64, (kBlockSize - 16) / sizeof(Run64)> runs;
};
struct [[gnu::packed]] Run32 {
  std::uint32_t base_page;
  std::uint32_t page_count;
};
struct [[gnu::packed]] Block32 {
  std::uint32_t run_count;
  std::uint32_t page_count;
  std::array<Run32, (kBlockSize - 8) / sizeof(Run32)> runs;
};

/// The beginning of the processor's CONTEXT on AMD64.
struct [[gnu::packed]] ContextAmd64 {
  std::array<std::byte, 0x30> homes;
  std::uint32_t flags;
  std::array<std::byte, 0x10> mxcsr_and_selectors;
  std::uint32_t eflags;
  std::array<std::byte, 0x50> debug_registers_to_rbx;
  std::uint64_t rsp;
  std::array<std::byte, 0x58> rbp_to_r15;
  std::uint64_t rip;
};
static_assert(sizeof(ContextAmd64) == 0x100);
inline constexpr std::uint32_t kContextControl = 0x100001;  // AMD64, with RIP, RSP and EFLAGS

struct [[gnu::packed]] Header64 {
  std::uint32_t signature;
  std::uint32_t valid;
  std::uint32_t major_version;
  std::uint32_t minor_version;
  std::uint64_t directory_table_base;  // CR3 of the context
  std::array<std::byte, 0x18> lists;   // virtual addresses of kernel objects
  std::uint32_t machine;
  std::array<std::byte, 0x54> bug_check_and_debugger;
  Block64 memory;  // at 0x88
  std::array<std::byte, 0x348 - 0x88 - sizeof(Block64)> padding;
  ContextAmd64 context;  // at 0x348; what it is depends on the machine
  std::array<std::byte, 0xF98 - 0x348 - sizeof(ContextAmd64)> rest_of_context;
  std::uint32_t dump_type;  // at 0xF98
  std::uint32_t padding2;
  std::uint64_t required_space;  // at 0xFA0: bytes that the file needs
  std::array<std::byte, 0x1050 - 0xFA8> times_and_comment;
  std::uint32_t attributes;  // at 0x1050
  std::array<std::byte, 0x2000 - 0x1054> reserved;
};
static_assert(sizeof(Header64) == 0x2000);
static_assert(offsetof(Header64, memory) == 0x88 && offsetof(Header64, context) == 0x348);
static_assert(offsetof(Header64, dump_type) == 0xF98 && offsetof(Header64, attributes) == 0x1050);

struct [[gnu::packed]] Header32 {
  std::uint32_t signature;
  std::uint32_t valid;
  std::uint32_t major_version;
  std::uint32_t minor_version;
  std::uint32_t directory_table_base;
  std::array<std::byte, 0xC> lists;
  std::uint32_t machine;
  std::array<std::byte, 0x40> bug_check_and_debugger;
  Block32 memory;  // at 0x64
  std::array<std::byte, 0xF88 - 0x64 - sizeof(Block32)> context_and_exception;
  std::uint32_t dump_type;  // at 0xF88
  std::array<std::byte, 0xFA0 - 0xF8C> padding;
  std::uint64_t required_space;  // at 0xFA0
  std::array<std::byte, 0x1000 - 0xFA8> reserved;
};
static_assert(sizeof(Header32) == 0x1000);
static_assert(offsetof(Header32, memory) == 0x64 && offsetof(Header32, dump_type) == 0xF88);

// What follows the header in types 5 and 6, 32-bit files included.
inline constexpr std::uint32_t kSummarySignature = 0x504D4453;  // "SDMP"
inline constexpr std::uint32_t kFullSignature = 0x504D4446;     // "FDMP"
struct [[gnu::packed]] BitmapHeader {
  std::uint32_t signature;
  std::uint32_t valid;
  std::array<std::byte, 24> options;
  std::uint64_t first_page;     // file offset of the first page
  std::uint64_t present_pages;  // set bits
  std::uint64_t page_count;     // bits; they follow, bit n of byte b stands for page 8 * b + n
};
static_assert(sizeof(BitmapHeader) == 0x38);

// What follows the 64-bit header in types 8, 9 and 10.
inline constexpr std::uint32_t kRangeMarker = 0x40;
inline constexpr std::uint32_t kRangeSignature = 0x504D4452;  // "RDMP"
struct [[gnu::packed]] RangeHeader {
  std::uint32_t marker;
  std::uint32_t signature;
  std::uint32_t valid;
  std::uint32_t unused;
  std::uint64_t metadata_size;  // from 0x2020 to the first page
  std::uint64_t first_page;     // file offset of the first page
  std::array<std::byte, 8> range_count;
  std::uint64_t total_pages;  // of type 10 only; unknown in 8 and 9
};
static_assert(sizeof(RangeHeader) == 0x30);

}  // namespace engram::image::dmp
