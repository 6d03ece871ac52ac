// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/program_image.h"

#include <algorithm>

#include "base/guid.h"

namespace engram::kernel::windows {
namespace {

using types::PdbIdentity;

// Microsoft's "PE Format": offsets in the file header and in the optional header.
constexpr std::uint16_t kDosMagic = 0x5A4D;  // "MZ"
constexpr std::uint64_t kPeOffsetAt = 0x3C;
constexpr std::uint32_t kPeMagic = 0x4550;  // "PE\0\0"
constexpr std::uint64_t kOptionalAt = 24;
constexpr std::uint16_t kOptionalMagic64 = 0x20B, kOptionalMagic32 = 0x10B;
constexpr std::uint64_t kImageSizeAt = 0x38;
// In PE32+; in PE32 they come earlier.
constexpr std::uint64_t kDirectoryCountAt = 0x6C, kDirectoriesAt = 0x70, kEarlier = 0x10;
constexpr std::uint32_t kDebugDirectory = 6;
constexpr std::uint32_t kCodeView = 2;
constexpr std::uint32_t kRsds = 0x53445352;
constexpr std::size_t kMostDebugEntries = 32;
constexpr std::size_t kLongestPdbName = 260;

struct [[gnu::packed]] DebugEntry {
  std::uint32_t characteristics, timestamp;
  std::uint16_t major_version, minor_version;
  std::uint32_t type, size, address, file_offset;
};
static_assert(sizeof(DebugEntry) == 28);

struct [[gnu::packed]] CodeView {
  std::uint32_t signature;
  Guid guid;
  std::uint32_t age;
};
static_assert(sizeof(CodeView) == 24);

std::optional<PdbIdentity> read_codeview(const paging::AddressSpace& space, VirtAddr at) {
  const auto record = space.load<CodeView>(at);
  if (!record || record->signature != kRsds) return std::nullopt;
  const auto name = space.load_text(at + sizeof(CodeView), kLongestPdbName);
  if (!name) return std::nullopt;
  return PdbIdentity{*name, guid_digits(record->guid), record->age};
}

/// `shift` is what the optional header is shorter by than that of PE32+.
std::optional<PdbIdentity> find_pdb(const paging::AddressSpace& space, VirtAddr base,
                                    VirtAddr optional_header, std::uint64_t shift) {
  const auto directories = space.load<std::uint32_t>(optional_header + (kDirectoryCountAt - shift));
  const VirtAddr directory = optional_header + (kDirectoriesAt - shift + kDebugDirectory * 8);
  const auto address = space.load<std::uint32_t>(directory);
  const auto size = space.load<std::uint32_t>(directory + 4);
  if (!directories || *directories <= kDebugDirectory || !address || !size) return std::nullopt;
  const std::size_t count = std::min(*size / sizeof(DebugEntry), kMostDebugEntries);
  for (std::size_t i = 0; i < count; ++i) {
    const auto entry = space.load<DebugEntry>(base + *address + i * sizeof(DebugEntry));
    if (!entry || entry->type != kCodeView) continue;
    if (auto found = read_codeview(space, base + entry->address)) return found;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ProgramImage> read_program_image(const paging::AddressSpace& space, VirtAddr base) {
  const auto dos = space.load<std::uint16_t>(base);
  if (!dos || *dos != kDosMagic) return std::nullopt;
  const auto offset = space.load<std::uint32_t>(base + kPeOffsetAt);
  if (!offset || *offset >= kPageSize) return std::nullopt;
  const VirtAddr header = base + *offset, optional_header = header + kOptionalAt;
  const auto magic = space.load<std::uint32_t>(header);
  const auto kind = space.load<std::uint16_t>(optional_header);
  const auto size = space.load<std::uint32_t>(optional_header + kImageSizeAt);
  if (!magic || *magic != kPeMagic || !kind || !size ||
      (*kind != kOptionalMagic64 && *kind != kOptionalMagic32)) {
    return std::nullopt;
  }
  ProgramImage image;
  image.base = base;
  image.size = *size;
  image.machine = space.load<std::uint16_t>(header + 4).value_or(0);
  image.timestamp = space.load<std::uint32_t>(header + 8).value_or(0);
  image.pdb = find_pdb(space, base, optional_header, *kind == kOptionalMagic32 ? kEarlier : 0);
  return image;
}

}  // namespace engram::kernel::windows
