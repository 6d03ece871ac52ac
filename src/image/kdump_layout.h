// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// kdump-compressed dumps on disk (diskdump, makedumpfile), and the flattened form of any such file.
// Integers have the byte order of the machine that was dumped; the flattened form is big-endian.
// Source: makedumpfile, diskdump_mod.h, makedumpfile.h and IMPLEMENTATION; crash, diskdump.h;
// QEMU, include/sysemu/dump.h.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace engram::image::kdump {

using namespace std::string_view_literals;

inline constexpr std::string_view kSignature = "KDUMP   "sv;
inline constexpr std::string_view kDiskdumpSignature = "DISKDUMP"sv;

using Name = std::array<char, 65>;  // of struct new_utsname

/// The first block, of 64-bit machines: struct disk_dump_header.
struct [[gnu::packed]] Header64 {
  std::array<char, 8> signature;
  std::uint32_t version;
  Name system, node, release, kernel_version, machine, domain;
  std::array<std::byte, 6> padding;
  std::uint64_t time, microseconds;  // when the dump was made
  std::uint32_t status;              // kFlag...
  std::uint32_t block_size;          // bytes, the machine's page size
  std::uint32_t sub_header_blocks;
  std::uint32_t bitmap_blocks;  // of both bitmaps
  std::uint32_t page_count;     // max_mapnr: one more than the highest page number
  std::uint32_t ram_blocks, device_blocks, written_blocks, current_cpu;
  std::uint32_t cpu_count;
};
static_assert(offsetof(Header64, time) == 408 && offsetof(Header64, status) == 424);
static_assert(sizeof(Header64) == 464);

/// The same of 32-bit machines.
struct [[gnu::packed]] Header32 {
  std::array<char, 8> signature;
  std::uint32_t version;
  Name system, node, release, kernel_version, machine, domain;
  std::array<std::byte, 2> padding;
  std::uint32_t time, microseconds;
  std::uint32_t status;
  std::uint32_t block_size;
  std::uint32_t sub_header_blocks;
  std::uint32_t bitmap_blocks;
  std::uint32_t page_count;
  std::uint32_t ram_blocks, device_blocks, written_blocks, current_cpu;
  std::uint32_t cpu_count;
};
static_assert(offsetof(Header32, status) == 412 && sizeof(Header32) == 452);

/// The second block: struct kdump_sub_header. Later versions only append to it.
struct [[gnu::packed]] SubHeader64 {
  std::uint64_t phys_base;  // version 1
  std::uint32_t dump_level;
  std::uint32_t split;  // version 2: whether this is one file of several
  std::uint64_t start_page, end_page;
  std::uint64_t vmcoreinfo_at, vmcoreinfo_size;  // version 3
  std::uint64_t notes_at, notes_size;            // version 4
  std::uint64_t erase_info_at, erase_info_size;  // version 5
  std::uint64_t start_page_64, end_page_64;      // version 6
  std::uint64_t page_count_64;
};
static_assert(offsetof(SubHeader64, vmcoreinfo_at) == 32 && sizeof(SubHeader64) == 104);

/// The same of 32-bit x86, where 64-bit integers are aligned to four bytes.
struct [[gnu::packed]] SubHeader32 {
  std::uint32_t phys_base;
  std::uint32_t dump_level;
  std::uint32_t split;
  std::uint32_t start_page, end_page;
  std::uint64_t vmcoreinfo_at;
  std::uint32_t vmcoreinfo_size;
  std::uint64_t notes_at;
  std::uint32_t notes_size;
  std::uint64_t erase_info_at;
  std::uint32_t erase_info_size;
  std::uint64_t start_page_64, end_page_64;
  std::uint64_t page_count_64;
};
static_assert(offsetof(SubHeader32, vmcoreinfo_at) == 20 && sizeof(SubHeader32) == 80);

/// Where what is stored of a page lies. One for each set bit of the second bitmap, in its order.
struct [[gnu::packed]] PageDescriptor {
  std::uint64_t offset;
  std::uint32_t size;   // bytes in the file
  std::uint32_t flags;  // kFlag...: how they are compressed
  std::uint64_t page_flags;
};
static_assert(sizeof(PageDescriptor) == 24);

inline constexpr std::uint32_t kFlagZlib = 0x1;
inline constexpr std::uint32_t kFlagLzo = 0x2;
inline constexpr std::uint32_t kFlagSnappy = 0x4;
inline constexpr std::uint32_t kFlagIncomplete = 0x8;       // of the header only
inline constexpr std::uint32_t kFlagWithoutVmemmap = 0x10;  // of the header only
inline constexpr std::uint32_t kFlagZstd = 0x20;
inline constexpr std::uint32_t kCodecFlags = kFlagZlib | kFlagLzo | kFlagSnappy | kFlagZstd;

// The flattened form, which can be written to a pipe: this header in 4096 bytes, then records until
// one whose offset is negative. A later record replaces what an earlier one wrote.
inline constexpr std::string_view kFlatSignature = "makedumpfile\0\0\0\0"sv;
inline constexpr std::uint64_t kFlatHeaderSize = 4096;

struct [[gnu::packed]] FlatRecord {
  std::uint64_t offset;  // in the plain file
  std::uint64_t size;    // bytes that follow
};
static_assert(sizeof(FlatRecord) == 16);

}  // namespace engram::image::kdump
