// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <bit>

#include "image/formats.h"

namespace engram::image::raw {
namespace {

// Physical memory up to 1 MiB is the BIOS's: no kernel that engram knows fits into it, so a smaller
// file is not the memory of a machine.
constexpr std::uint64_t kSmallest = kMiB;

/// The length of the UTF-8 character that begins with `lead`, 0 if no printable one does.
std::size_t character_length(unsigned lead) {
  const bool printable = (lead >= 0x20 && lead < 0x7F) || (lead >= '\t' && lead <= '\r');
  if (lead < 0x80) return printable ? 1 : 0;
  const int ones = std::countl_one(static_cast<unsigned char>(lead));
  return ones >= 2 && ones <= 4 ? static_cast<std::size_t>(ones) : 0;
}

/// Whether all of `head` is text. A character may be cut by its end.
bool is_text(Bytes head) {
  for (std::size_t at = 0; at < head.size();) {
    const std::size_t length = character_length(std::to_integer<unsigned>(head[at]));
    if (length == 0) return false;
    for (std::size_t i = at + 1; i < at + length && i < head.size(); ++i) {
      if ((head[i] & std::byte{0xC0}) != std::byte{0x80}) return false;
    }
    at += length;
  }
  return true;
}

}  // namespace

bool sniff(Bytes) {
  return true;
}

Result<Contents> open(FileView file) {
  const std::uint64_t size = file.size();
  if (is_text(file.copy(FileOffset(0), kHeadSize))) return fail("raw: text, not a memory image");
  if (size < kSmallest) {
    return fail(
        "raw: no known format, and {} bytes are too few for a raw memory image (at least {} are "
        "expected)",
        size, kSmallest);
  }
  Contents contents;
  contents.format = "raw";
  add_range(contents, file, {PhysAddr(0), size, FileOffset(0), size, 0, 0});
  if (size % kPageSize != 0) {
    contents.notices.push_back(
        {Level::warning,
         fmt::format(
             "raw: {} bytes are not a whole number of pages: the file may be cut, or not be "
             "a raw memory image",
             size)});
  }
  return contents;
}

}  // namespace engram::image::raw
