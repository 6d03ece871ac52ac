// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The parts of PDB files that are read: the container (MSF 7.00), the streams of names and types.
// Sources: LLVM's "The PDB File Format" (docs/PDB), Microsoft's cvinfo.h (microsoft-pdb).

#include <array>
#include <cstdint>
#include <string_view>

#include "base/guid.h"

namespace engram::types::pdb {

inline constexpr std::string_view kMagic{"Microsoft C/C++ MSF 7.00\r\n\x1a\x44\x53\0\0\0", 32};

/// At offset 0 of the file.
struct [[gnu::packed]] SuperBlock {
  std::array<char, 32> magic;
  std::uint32_t block_size;
  std::uint32_t free_map;
  std::uint32_t block_count;
  std::uint32_t directory_size;  ///< bytes
  std::uint32_t unknown;
  std::uint32_t directory_map;  ///< the block that lists the blocks of the directory
};
static_assert(sizeof(SuperBlock) == 56);

// Streams by number.
inline constexpr std::uint32_t kInfoStream = 1, kTypeStream = 2, kDebugStream = 3;
inline constexpr std::uint32_t kNilStream = 0xFFFF'FFFF;  ///< as a size: it does not exist
inline constexpr std::uint16_t kNoStream = 0xFFFF;        ///< as a number of 16 bits

struct [[gnu::packed]] InfoHeader {
  std::uint32_t version, signature, age;
  Guid guid;
};
static_assert(sizeof(InfoHeader) == 28);

/// Of the stream of types (TPI).
struct [[gnu::packed]] TypeHeader {
  std::uint32_t version, header_size, first_type, end_type, record_bytes;
};
static_assert(sizeof(TypeHeader) == 20);

/// Of the stream about modules and symbols (DBI); `sizes` are those of the parts behind it.
struct [[gnu::packed]] DebugHeader {
  std::int32_t signature;
  std::uint32_t version, age;
  std::uint16_t globals_stream, build, publics_stream, dll_version, symbols_stream, dll_build;
  std::uint32_t modules_size, contributions_size, section_map_size, sources_size, servers_size;
  std::uint32_t server_index, streams_size, edit_size;
  std::uint16_t flags, machine;
  std::uint32_t padding;
};
static_assert(sizeof(DebugHeader) == 64);

// Of the numbers of streams that end the DBI stream.
inline constexpr std::size_t kFromSourceIndex = 4, kSectionsIndex = 5, kOriginalSectionsIndex = 10;

/// An IMAGE_SECTION_HEADER.
struct [[gnu::packed]] Section {
  std::array<char, 8> name;
  std::uint32_t size, address;
  std::array<std::uint32_t, 6> file_facts;
};
static_assert(sizeof(Section) == 40);

/// How a tool moved code or data after it was linked (OMAP).
struct [[gnu::packed]] Moved {
  std::uint32_t from, to;  ///< to: 0 if it is gone
};
static_assert(sizeof(Moved) == 8);

// Kinds of symbol records.
inline constexpr std::uint16_t kLocalData = 0x110C, kGlobalData = 0x110D, kPublic = 0x110E;

/// What follows the kind in each of the three; the name follows.
struct [[gnu::packed]] SymbolRecord {
  std::uint32_t flags_or_type, offset;
  std::uint16_t section;  ///< counted from 1
};
static_assert(sizeof(SymbolRecord) == 10);

/// Kinds of type records and of the parts of field lists.
enum Leaf : std::uint16_t {
  kModifier = 0x1001,
  kPointer = 0x1002,
  kFieldList = 0x1203,
  kBitField = 0x1205,
  kBaseClass = 0x1400,
  kVirtualBase = 0x1401,
  kIndirectBase = 0x1402,
  kIndex = 0x1404,
  kVirtualTable = 0x1409,
  kEnumerate = 0x1502,
  kArray = 0x1503,
  kClass = 0x1504,
  kStructure = 0x1505,
  kUnion = 0x1506,
  kEnum = 0x1507,
  kMember = 0x150D,
  kStaticMember = 0x150E,
  kMethod = 0x150F,
  kNestedType = 0x1510,
  kOneMethod = 0x1511,
  kNewClass = 0x1608,  // with properties of 32 bits, since Visual Studio 2019
  kNewStructure = 0x1609,
  // How a number is stored that is not below kFirstNumeric.
  kFirstNumeric = 0x8000,
  kChar = 0x8000,
  kShort = 0x8001,
  kUShort = 0x8002,
  kLong = 0x8003,
  kULong = 0x8004,
  kQuad = 0x8009,
  kUQuad = 0x800A,
};

inline constexpr std::uint16_t kIsForward = 0x80;  ///< in the properties of a structure
inline constexpr std::uint32_t kFirstRecordType = 0x1000;

}  // namespace engram::types::pdb
