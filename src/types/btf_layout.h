// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The parts of BTF on disk that vary between kernels: the header, and the description of record
// sizes. Source: include/uapi/linux/btf.h and Documentation/bpf/btf.rst. The records themselves
// never changed and are those of <linux/btf.h>; the header there grows with the installed kernel
// headers, which is why it is here, too.

#include <linux/btf.h>

#include <array>
#include <cstdint>

#include "base/units.h"

namespace engram::types::btf {

inline constexpr std::uint16_t kMagic = 0xeb9f;
inline constexpr std::uint8_t kVersion = 1;
/// The first four bytes of every blob.
inline constexpr std::uint32_t kMagicVersionFlags = kVersion << 16U | kMagic;

struct Header {
  std::uint16_t magic;
  std::uint8_t version;
  std::uint8_t flags;
  std::uint32_t header_length;  ///< at least sizeof(Header); section offsets count from its end
  std::uint32_t type_offset;
  std::uint32_t type_length;
  std::uint32_t string_offset;
  std::uint32_t string_length;
};
static_assert(sizeof(Header) == 24);

/// Follows Header where header_length leaves room for it: kernel 7.1 and later, and even there only
/// if the encoder was asked for it.
struct LayoutHeader {
  std::uint32_t layout_offset;
  std::uint32_t layout_length;  ///< a KindLayout for each kind that the encoder knew, from kind 0
};
static_assert(sizeof(LayoutHeader) == 8);

/// What follows the 12 bytes of a type record of one kind.
struct KindLayout {
  std::uint8_t fixed_size;    ///< bytes
  std::uint8_t element_size;  ///< bytes of each of the record's elements
  std::uint16_t flags;
};
static_assert(sizeof(KindLayout) == 4);

/// By kind, 0 to 19: the kinds that this program knows.
inline constexpr std::array<KindLayout, 20> kKnownKinds = {{
    {0, 0, 0},   // unknown: never valid
    {4, 0, 0},   // integer
    {0, 0, 0},   // pointer
    {12, 0, 0},  // array
    {0, 12, 0},  // struct
    {0, 12, 0},  // union
    {0, 8, 0},   // enum
    {0, 0, 0},   // forward
    {0, 0, 0},   // typedef
    {0, 0, 0},   // volatile
    {0, 0, 0},   // const
    {0, 0, 0},   // restrict
    {0, 0, 0},   // function: its element count is its linkage
    {0, 8, 0},   // function prototype
    {4, 0, 0},   // variable
    {0, 12, 0},  // data section
    {0, 0, 0},   // float
    {4, 0, 0},   // declaration tag
    {0, 0, 0},   // type tag
    {0, 12, 0},  // enum64
}};

// Kernel 7.1 gave the element count 24 bits and the kind 7 where they had 16 and 5; the bits
// between were zero before, so that one decoding serves all kernels.
constexpr std::uint32_t kind_of(std::uint32_t info) {
  return (info >> 24U) & 0x7fU;
}
constexpr std::uint32_t count_of(std::uint32_t info) {
  return info & 0xffffffU;
}
constexpr bool kind_flag_of(std::uint32_t info) {
  return (info >> 31U) != 0;
}

constexpr bool is_struct_or_union(std::uint32_t kind) {
  return kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION;
}
constexpr bool is_enum(std::uint32_t kind) {
  return kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64;
}
constexpr bool is_typedef_or_modifier(std::uint32_t kind) {
  return (kind >= BTF_KIND_TYPEDEF && kind <= BTF_KIND_RESTRICT) || kind == BTF_KIND_TYPE_TAG;
}

inline constexpr std::uint32_t kTypeLimit = 0xfffff;    ///< BTF_MAX_TYPE, the kernel's own
inline constexpr std::uint64_t kBlobLimit = 64 * kMiB;  ///< ten times what kernels have today
inline constexpr std::uint32_t kNameLimit = 4096;       ///< the kernel's own is KSYM_NAME_LEN, 512
inline constexpr std::uint32_t kNestingLimit = 64;  ///< the deepest in a kernel today is about 20
inline constexpr std::uint64_t kPointerSize = 8;    ///< BTF does not say it; 64-bit kernels only

}  // namespace engram::types::btf
