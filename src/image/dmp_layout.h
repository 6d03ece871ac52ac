// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Windows crash dumps on disk, as far as physical memory goes. Little-endian. Fields that the
// writer did not set are filled with the text `PAGE`.
// Source: docs/formats/dmp.md, which names the public descriptions that this follows.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/guid.h"
#include "image/windows_context.h"

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

struct [[gnu::packed]] Exception64 {
  std::uint32_t code;
  std::uint32_t flags;
  std::uint64_t nested_record;
  std::uint64_t address;
  std::uint32_t parameter_count;
  std::uint32_t padding;
  std::array<std::uint64_t, 15> parameters;
};
static_assert(sizeof(Exception64) == 0x98);
struct [[gnu::packed]] Exception32 {
  std::uint32_t code;
  std::uint32_t flags;
  std::uint32_t nested_record;
  std::uint32_t address;
  std::uint32_t parameter_count;
  std::array<std::uint32_t, 15> parameters;
};
static_assert(sizeof(Exception32) == 0x50);

struct [[gnu::packed]] Header64 {
  std::uint32_t signature;
  std::uint32_t valid;
  std::uint32_t major_version;
  std::uint32_t minor_version;         // the build
  std::uint64_t directory_table_base;  // CR3 of the context
  std::uint64_t pfn_database;          // virtual addresses of kernel variables
  std::uint64_t loaded_modules;
  std::uint64_t processes;
  std::uint32_t machine;
  std::uint32_t processors;
  std::uint32_t bugcheck_code;
  std::uint32_t padding0;
  std::array<std::uint64_t, 4> bugcheck_parameters;
  std::array<char, 32> version_user;
  std::uint64_t debugger_data;
  Block64 memory;  // at 0x88
  std::array<std::byte, 0x348 - 0x88 - sizeof(Block64)> padding;
  ContextAmd64 context;  // at 0x348; what it is depends on the machine
  std::array<std::byte, 0xF00 - 0x348 - sizeof(ContextAmd64)> rest_of_context;
  Exception64 exception;    // at 0xF00
  std::uint32_t dump_type;  // at 0xF98
  std::uint32_t padding2;
  std::uint64_t required_space;  // at 0xFA0: bytes that the file needs
  std::uint64_t system_time;
  std::array<char, 128> comment;
  std::uint64_t up_time;
  std::uint32_t mini_dump_fields;
  std::uint32_t secondary_data_state;
  std::uint32_t product_type;
  std::uint32_t suite_mask;
  std::uint32_t writer_status;
  std::uint8_t unused0;
  std::uint8_t secondary_version;  // KdSecondaryVersion
  std::uint16_t unused1;
  std::uint32_t attributes;  // at 0x1050
  std::uint32_t boot_id;
  std::array<std::byte, 0x2000 - 0x1058> reserved;
};
static_assert(sizeof(Header64) == 0x2000);
static_assert(offsetof(Header64, memory) == 0x88 && offsetof(Header64, context) == 0x348);
static_assert(offsetof(Header64, exception) == 0xF00 && offsetof(Header64, dump_type) == 0xF98);
static_assert(offsetof(Header64, up_time) == 0x1030 && offsetof(Header64, attributes) == 0x1050);

struct [[gnu::packed]] Header32 {
  std::uint32_t signature;
  std::uint32_t valid;
  std::uint32_t major_version;
  std::uint32_t minor_version;
  std::uint32_t directory_table_base;
  std::uint32_t pfn_database;
  std::uint32_t loaded_modules;
  std::uint32_t processes;
  std::uint32_t machine;
  std::uint32_t processors;
  std::uint32_t bugcheck_code;
  std::array<std::uint32_t, 4> bugcheck_parameters;
  std::array<char, 32> version_user;
  std::uint8_t pae;  // at 0x5C
  std::array<std::byte, 3> padding0;
  std::uint32_t debugger_data;
  Block32 memory;  // at 0x64
  std::array<std::byte, 0x320 - 0x64 - sizeof(Block32)> padding1;
  std::array<std::byte, 1200> context;
  Exception32 exception;  // at 0x7D0
  std::array<char, 128> comment;
  std::array<std::byte, 0xF88 - 0x8A0> reserved0;
  std::uint32_t dump_type;  // at 0xF88
  std::uint32_t mini_dump_fields;
  std::uint32_t secondary_data_state;
  std::uint32_t product_type;
  std::uint32_t suite_mask;
  std::uint32_t writer_status;
  std::uint64_t required_space;  // at 0xFA0
  std::array<std::byte, 0x10> reserved1;
  std::uint64_t up_time;  // at 0xFB8
  std::uint64_t system_time;
  std::array<std::byte, 0x1000 - 0xFC8> reserved;
};
static_assert(sizeof(Header32) == 0x1000);
static_assert(offsetof(Header32, memory) == 0x64 && offsetof(Header32, exception) == 0x7D0);
static_assert(offsetof(Header32, dump_type) == 0xF88 && offsetof(Header32, up_time) == 0xFB8);

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

// What follows the 64-bit header in type 4. Offsets are those in the file.
inline constexpr std::uint32_t kTriageValid = 0x44475254;  // "TRGD"
struct [[gnu::packed]] TriageHeader {
  std::uint32_t service_pack;
  std::uint32_t size;          // up to the secondary data
  std::uint32_t valid_offset;  // of kTriageValid
  std::uint32_t context, exception, memory_information;
  std::uint32_t unloaded_drivers;
  std::uint32_t processor, process, thread;  // KPRCB, EPROCESS, ETHREAD
  std::uint32_t call_stack, call_stack_size;
  std::uint32_t driver_list, driver_count;
  std::uint32_t string_pool, string_pool_size;
  std::uint32_t broken_driver;
  std::uint32_t options;
  std::uint64_t call_stack_address;  // of its first byte that the dump has
  std::uint32_t backing_store, backing_store_size;
  std::uint64_t backing_store_limit;
  std::uint64_t data_page_address;
  std::uint32_t data_page, data_page_size;
  std::uint32_t debugger_data, debugger_data_size;  // KDDEBUGGER_DATA64, decoded
  std::uint32_t data_blocks, data_block_count;
};
static_assert(sizeof(TriageHeader) == 0x80 && offsetof(TriageHeader, driver_list) == 0x30);
static_assert(offsetof(TriageHeader, call_stack_address) == 0x48 &&
              offsetof(TriageHeader, debugger_data) == 0x70);
/// The name, and the driver's KLDR_DATA_TABLE_ENTRY.
struct [[gnu::packed]] TriageDriverEntry {
  std::uint32_t name;  // a count of UTF-16 units, and these
  std::uint32_t padding;
  std::array<std::byte, 0x30> links_and_tables;
  std::uint64_t base;
  std::uint64_t entry_point;
  std::uint32_t size;
  std::array<std::byte, 0x3C> names_to_checksum;
  std::uint32_t timestamp;
  std::uint32_t padding2;
};
static_assert(sizeof(TriageDriverEntry) == 0x90 && offsetof(TriageDriverEntry, timestamp) == 0x88);
/// Behind a 64-bit count of them.
struct [[gnu::packed]] TriageUnloadedEntry {
  std::uint16_t length;  // of the name in bytes
  std::array<std::byte, 14> rest_of_string;
  std::array<std::byte, 24> name;
  std::uint64_t start;
  std::uint64_t end;
};
static_assert(sizeof(TriageUnloadedEntry) == 0x38);
struct [[gnu::packed]] TriageBlockEntry {
  std::uint64_t address;
  std::uint32_t offset;
  std::uint32_t size;
};
static_assert(sizeof(TriageBlockEntry) == 0x10);

// Behind everything else: blocks of data with a GUID each. Every block is a header, padding, data,
// padding.
inline constexpr std::uint64_t kBlobSignature = 0x626F6C42706D7544;  // "DumpBlob"
struct [[gnu::packed]] BlobFileHeader {
  std::uint64_t signature;
  std::uint32_t header_size;
  std::uint32_t build;
};
static_assert(sizeof(BlobFileHeader) == 0x10);
struct [[gnu::packed]] BlobHeader {
  std::uint32_t header_size;
  Guid tag;
  std::uint32_t data_size;
  std::uint32_t padding_before, padding_after;
};
static_assert(sizeof(BlobHeader) == 0x20);

}  // namespace engram::image::dmp
