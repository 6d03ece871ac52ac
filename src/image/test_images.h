// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small image files for tests, built in memory: good ones, which tests then break.

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/test_file.h"
#include "base/units.h"

namespace engram::image::test {

using Buffer = std::vector<std::byte>;

/// Bytes that tell their place: no two pages of one seed and no two seeds are the same.
inline Buffer pattern(std::size_t size, std::uint32_t seed) {
  Buffer bytes(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

template <class T>
void put(Buffer& bytes, std::size_t offset, const T& value) {
  if (bytes.size() < offset + sizeof value) bytes.resize(offset + sizeof value);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

template <class T>
void append(Buffer& bytes, const T& value) {
  put(bytes, bytes.size(), value);
}

inline void append(Buffer& bytes, const Buffer& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

using engram::test::TempFile;

/// What is read from the first to the last, as an array.
template <class List>
auto vector_of(const List& list) {
  return std::vector(list.begin(), list.end());
}

// ---- LiME

inline void append_lime_header(Buffer& file, std::uint64_t first, std::uint64_t last,
                               std::uint32_t magic = 0x4C694D45, std::uint32_t version = 1) {
  append(file, magic);
  append(file, version);
  append(file, first);
  append(file, last);
  append(file, std::uint64_t{0});
}

inline void append_lime_range(Buffer& file, std::uint64_t first, const Buffer& data) {
  append_lime_header(file, first, first + data.size() - 1);
  append(file, data);
}

// ---- ELF

struct ElfSegment {
  std::uint32_t type = PT_LOAD;
  std::uint64_t physical = 0;
  Buffer data = {};
  std::uint64_t virtual_address = 0;
  std::optional<std::uint64_t> memory_size = std::nullopt;  // data.size()
  std::optional<std::uint64_t> file_size = std::nullopt;    // data.size()
  std::optional<std::uint64_t> offset = std::nullopt;       // where the writer puts the data
};

struct Elf64Traits {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  using Section = Elf64_Shdr;
  static constexpr std::uint8_t kClass = ELFCLASS64;
  static constexpr std::uint16_t kMachine = EM_X86_64;
  static constexpr bool kBig = false;
};
struct Elf32Traits {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  using Section = Elf32_Shdr;
  static constexpr std::uint8_t kClass = ELFCLASS32;
  static constexpr std::uint16_t kMachine = EM_386;
  static constexpr bool kBig = false;
};
struct Elf64BigTraits : Elf64Traits {
  static constexpr std::uint16_t kMachine = EM_S390;
  static constexpr bool kBig = true;
};
struct Elf32BigTraits : Elf32Traits {
  static constexpr std::uint16_t kMachine = EM_PPC;
  static constexpr bool kBig = true;
};

/// Makes the number's order of bytes in memory that of the file.
template <bool kBig, class T>
void to_order(T& value) {
  if constexpr (kBig) {
    auto* const bytes = reinterpret_cast<std::byte*>(&value);
    std::reverse(bytes, bytes + sizeof value);
  }
}
template <bool kBig, class... T>
void all_to_order(T&... values) {
  (to_order<kBig>(values), ...);
}
template <bool kBig, class Header>
void header_to_order(Header& h) {
  all_to_order<kBig>(h.e_type, h.e_machine, h.e_version, h.e_entry, h.e_phoff, h.e_shoff, h.e_flags,
                     h.e_ehsize, h.e_phentsize, h.e_phnum, h.e_shentsize, h.e_shnum, h.e_shstrndx);
}
template <bool kBig, class Segment>
void segment_to_order(Segment& s) {
  all_to_order<kBig>(s.p_type, s.p_flags, s.p_offset, s.p_vaddr, s.p_paddr, s.p_filesz, s.p_memsz,
                     s.p_align);
}

/// header, section 0 (only if the count needs it), program headers, data.
template <class Traits = Elf64Traits>
Buffer elf_file(const std::vector<ElfSegment>& segments, bool count_in_section = false) {
  typename Traits::Header header = {};
  typename Traits::Section section = {};
  using Size = decltype(header.e_phoff);
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = Traits::kClass;
  header.e_ident[EI_DATA] = Traits::kBig ? ELFDATA2MSB : ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = Traits::kMachine;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(typename Traits::Segment);
  header.e_phoff = sizeof header;
  header.e_phnum = static_cast<std::uint16_t>(segments.size());
  if (count_in_section) {
    header.e_phnum = PN_XNUM;
    header.e_shoff = sizeof header;
    header.e_shnum = 1;
    header.e_shentsize = sizeof section;
    header.e_phoff = static_cast<Size>(sizeof header + sizeof section);
    section.sh_info = static_cast<std::uint32_t>(segments.size());
  }
  std::uint64_t offset = header.e_phoff + segments.size() * header.e_phentsize;
  header_to_order<Traits::kBig>(header);
  to_order<Traits::kBig>(section.sh_info);
  Buffer file;
  append(file, header);
  if (count_in_section) append(file, section);
  for (const ElfSegment& segment : segments) {
    typename Traits::Segment entry = {};
    entry.p_type = segment.type;
    entry.p_offset = static_cast<Size>(segment.offset.value_or(offset));
    entry.p_vaddr = static_cast<Size>(segment.virtual_address);
    entry.p_paddr = static_cast<Size>(segment.physical);
    entry.p_filesz = static_cast<Size>(segment.file_size.value_or(segment.data.size()));
    entry.p_memsz = static_cast<Size>(segment.memory_size.value_or(segment.data.size()));
    segment_to_order<Traits::kBig>(entry);
    append(file, entry);
    offset += segment.data.size();
  }
  for (const ElfSegment& segment : segments) append(file, segment.data);
  return file;
}

/// Where elf_file() puts program header `index` (without a section).
constexpr std::size_t elf_segment_at(std::size_t index) {
  return sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr);
}

inline void append_note(Buffer& notes, std::string_view name, std::uint32_t type,
                        const Buffer& data) {
  append(notes, static_cast<std::uint32_t>(name.size() + 1));
  append(notes, static_cast<std::uint32_t>(data.size()));
  append(notes, type);
  for (const char c : name) append(notes, c);
  notes.resize(align_up(notes.size() + 1, 4));
  append(notes, data);
  notes.resize(align_up(notes.size(), 4));
}

inline Buffer text(std::string_view characters) {
  Buffer bytes;
  for (const char c : characters) append(bytes, c);
  return bytes;
}

}  // namespace engram::image::test
