// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The outermost shape of a blob: its header and sections, and a copy without what libbpf does not
// know.

#include <linux/btf.h>

#include "types/btf_check.h"
#include "types/btf_layout.h"

namespace engram::types::btf {
namespace {

std::uint64_t types_end(const Header& header) {
  return std::uint64_t{header.type_offset} + header.type_length;
}

Result<Header> read_header(Bytes bytes) {
  const auto header = load<Header>(bytes, 0);
  if (!header) {
    return fail("btf: {} bytes, expected a header of at least {}", bytes.size(), sizeof(Header));
  }
  if (header->magic == __builtin_bswap16(kMagic)) {
    return fail("btf: offset 0x0: written for a big-endian machine, expected a little-endian one");
  }
  if (header->magic != kMagic) {
    return fail("btf: offset 0x0: magic {:#x}, expected {:#x}", header->magic, kMagic);
  }
  if (header->version != kVersion) {
    return fail("btf: offset 0x2: version {}, expected {}", header->version, kVersion);
  }
  if (header->flags != 0) return fail("btf: offset 0x3: flags {:#x}, expected 0", header->flags);
  // Records are read in place, at steps of four bytes from the header's end.
  if (header->header_length < sizeof(Header) || header->header_length % 4 != 0) {
    return fail("btf: offset 0x4: header of {} bytes, expected at least {} and a multiple of 4",
                header->header_length, sizeof(Header));
  }
  if (header->type_offset % 4 != 0) {
    return fail("btf: offset 0x8: types at {:#x} behind the header, expected a multiple of 4",
                header->type_offset);
  }
  // Strings come last, as the kernel demands (btf_parse_str_sec() in kernel/bpf/btf.c).
  if (types_end(*header) > header->string_offset) {
    return fail(
        "btf: offset 0x10: strings at {:#x} behind the header, expected behind the types, "
        "which end at {:#x}",
        header->string_offset, types_end(*header));
  }
  return *header;
}

/// The layout section, if the header is long enough to name one.
Result<Bytes> find_layout(Bytes blob, const Header& header) {
  if (header.header_length < sizeof(Header) + sizeof(LayoutHeader)) return Bytes();
  const auto place = load_unaligned<LayoutHeader>(blob.data() + sizeof(Header));
  if (place.layout_length == 0) return Bytes();
  const std::uint64_t end = std::uint64_t{place.layout_offset} + place.layout_length;
  const bool before_types = end <= header.type_offset;
  const bool behind_types = place.layout_offset >= types_end(header);
  if (end > header.string_offset || (!before_types && !behind_types)) {
    return fail(
        "btf: offset {:#x}: layout section of {:#x} bytes at {:#x} behind the header, expected "
        "beside the types and before the strings",
        sizeof(Header), place.layout_length, place.layout_offset);
  }
  return blob.subspan(std::size_t{header.header_length} + place.layout_offset, place.layout_length);
}

}  // namespace

Result<std::uint64_t> declared_length(Bytes bytes) {
  ENGRAM_TRY(const Header header, read_header(bytes));
  const std::uint64_t total =
      std::uint64_t{header.header_length} + header.string_offset + header.string_length;
  if (total > kBlobLimit) {
    return fail("btf: offset 0x4: header, types and strings of {:#x} bytes, expected at most {:#x}",
                total, kBlobLimit);
  }
  return total;
}

Result<Sections> find_sections(Bytes blob) {
  ENGRAM_TRY(const std::uint64_t total, declared_length(blob));
  if (total > blob.size()) {
    return fail("btf: offset {:#x}: the blob ends, expected {:#x} bytes by its header", blob.size(),
                total);
  }
  const auto header = load_unaligned<Header>(blob.data());
  Sections sections;
  sections.total = total;
  sections.types_start = std::uint64_t{header.header_length} + header.type_offset;
  sections.types = blob.subspan(sections.types_start, header.type_length);
  sections.strings_start = std::uint64_t{header.header_length} + header.string_offset;
  sections.strings = blob.subspan(sections.strings_start, header.string_length);
  ENGRAM_TRY(sections.layout, find_layout(blob.first(total), header));
  return sections;
}

}  // namespace engram::types::btf
