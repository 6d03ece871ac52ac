// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a QEMU migration stream, and the file of libvirt around one, has on disk. All numbers of a
// stream are big-endian.
//
// Sources: QEMU, migration/savevm.c (sections), migration/ram.c (pages), target/i386/machine.c
// (vmstate_x86_cpu, version 12); libvirt, src/qemu/qemu_saveimage.h.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace engram::image::migration {

inline constexpr std::string_view kMagic = "QEVM";
inline constexpr std::uint32_t kVersion = 3;  // since QEMU 0.13

/// The byte that begins each part of a stream.
enum class Part : std::uint8_t {
  end = 0x00,
  section_start = 0x01,  // of a device that is sent in several parts, such as RAM
  section_part = 0x02,
  section_end = 0x03,
  section_full = 0x04,  // of any other device
  subsection = 0x05,
  description = 0x06,
  configuration = 0x07,  // behind the header, since QEMU 2.4
  command = 0x08,
  footer = 0x7e,  // behind each section, since QEMU 2.4
};

// A record of the section "ram" is an address within its block, with flags in the bits below a
// page; then what the flags say.
inline constexpr std::uint32_t kRamVersion = 4;
inline constexpr std::uint64_t kFlagZero = 0x02;        // one byte, of which the page is full
inline constexpr std::uint64_t kFlagMemorySize = 0x04;  // the address is the size of all blocks
inline constexpr std::uint64_t kFlagPage = 0x08;        // the page
inline constexpr std::uint64_t kFlagEnd = 0x10;         // of this part of the section
inline constexpr std::uint64_t kFlagContinue = 0x20;    // of the block before: no name
inline constexpr std::uint64_t kFlagDelta = 0x40;       // XBZRLE: what changed in the page
inline constexpr std::uint64_t kFlagHook = 0x80;        // RDMA
inline constexpr std::uint64_t kFlagPacked = 0x100;     // 32-bit length, zlib
inline constexpr std::uint64_t kFlagFlush = 0x200;      // of other channels: nothing follows
inline constexpr std::uint64_t kPageBits = 12;
inline constexpr std::uint8_t kDeltaMark = 0x01;  // the first byte of an XBZRLE page

/// Behind a block's size where pages have fixed places in the file (capability mapped-ram, QEMU
/// 9.0). The bitmap has 64-bit words of the host.
struct [[gnu::packed]] MappedBlock {
  std::uint32_t version;
  std::uint64_t page_size;
  std::uint64_t bitmap;  // offset in the file
  std::uint64_t pages;   // offset in the file
};
static_assert(sizeof(MappedBlock) == 28);
inline constexpr std::uint32_t kMappedVersion = 1;

// Where the section "cpu" of a 64-bit x86 machine has registers: bytes from its first one. A
// segment is selector, base, limit, flags with 4, 8, 4 and 4 bytes.
inline constexpr std::uint32_t kCpuVersion = 12;
inline constexpr std::size_t kCpuRsp = 4 * std::size_t{8};
inline constexpr std::size_t kCpuRip = 128;
inline constexpr std::size_t kCpuRflags = 136;
inline constexpr std::size_t kCpuGsBase = 236 + 5 * 20 + 4;
inline constexpr std::size_t kCpuCr0 = 456;  // then CR2, CR3, CR4
inline constexpr std::size_t kCpuKernelGsBase = 856;

// The section "mc146818rtc" begins with the CMOS. Where that has the sizes of RAM, in units of 64
// KiB: QEMU, hw/i386/pc.c, pc_cmos_init().
inline constexpr std::size_t kCmosSize = 128;
inline constexpr std::size_t kCmosAbove16M = 0x34;  // two bytes
inline constexpr std::size_t kCmosAbove4G = 0x5b;   // three bytes

/// The head of libvirt's file, in the order of the host that wrote it.
struct [[gnu::packed]] LibvirtHeader {
  std::array<char, 16> magic;
  std::uint32_t version;
  std::uint32_t data_size;  // of the XML and what else lies before the stream
  std::uint32_t was_running;
  std::uint32_t compression;
  std::uint32_t cookie;
  std::array<std::uint32_t, 14> unused;
};
static_assert(sizeof(LibvirtHeader) == 92);
inline constexpr std::string_view kLibvirtMagic = "LibvirtQemudSave";
inline constexpr std::string_view kLibvirtPartMagic = "LibvirtQemudPart";
inline constexpr std::uint32_t kLibvirtVersion = 2;

}  // namespace engram::image::migration
