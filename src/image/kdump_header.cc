// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/kdump_header.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <string_view>

#include "image/kdump_layout.h"

namespace engram::image::kdump {
namespace {

constexpr std::uint64_t kSmallestBlock = 4 * kKiB;
constexpr std::uint64_t kLargestBlock = 64 * kKiB;  // the largest page of arm64 and ppc64
constexpr std::uint32_t kNewestVersion = 6;

// 64 TiB in pages of 4 KiB, as much as Linux with four levels of page tables can have, which have
// bitmaps of 2 GiB. A sparse file has them for nothing: the bound limits how long one is searched.
constexpr std::uint64_t kMostPages = std::uint64_t{1} << 34;

std::string text(const Name& name) {
  return std::string(text_until_nul(std::as_bytes(std::span(name))));
}

bool is_block_size(std::uint64_t size) {
  return std::has_single_bit(size) && size >= kSmallestBlock && size <= kLargestBlock;
}

/// Where blocks lie, from the header.
struct Blocks {
  std::uint64_t sub_headers = 0;
  std::uint64_t bitmaps = 0;
};

template <class Raw>
Blocks take_header(const Raw& raw, Header& header) {
  const elf::ByteOrder order = header.order;
  header.version = order(raw.version);
  header.node = text(raw.node);
  header.release = text(raw.release);
  header.kernel_version = text(raw.kernel_version);
  header.machine = text(raw.machine);
  header.time = order(raw.time);
  header.status = order(raw.status);
  header.page_size = order(raw.block_size);
  header.page_count = order(raw.page_count);
  return {order(raw.sub_header_blocks), order(raw.bitmap_blocks)};
}

template <class Raw>
Result<void> take_sub_header(const PlainFile& file, Header& header) {
  const FileOffset at(header.page_size);
  const auto raw = file.load<Raw>(at);
  if (!raw) {
    return fail("kdump: the file has {} bytes, its second header ends at {:#x}", file.size(),
                at.value + sizeof(Raw));
  }
  const elf::ByteOrder order = header.order;
  const std::uint32_t version = header.version;
  if (version >= 1) header.dump_level = order(raw->dump_level);
  if (version >= 2 && order(raw->split) != 0) {
    header.split = true;
    header.first_page = order(raw->start_page);
    header.end_page = order(raw->end_page);
  }
  const auto part = [order](auto offset, auto size) {
    return Header::Part{FileOffset(order(offset)), order(size)};
  };
  if (version >= 3) header.vmcoreinfo = part(raw->vmcoreinfo_at, raw->vmcoreinfo_size);
  if (version >= 4) header.notes = part(raw->notes_at, raw->notes_size);
  if (version >= 5) header.erase_info = part(raw->erase_info_at, raw->erase_info_size);
  if (version >= 6) {
    if (order(raw->page_count_64) != 0) header.page_count = order(raw->page_count_64);
    if (header.split && order(raw->end_page_64) != 0) {
      header.first_page = order(raw->start_page_64);
      header.end_page = order(raw->end_page_64);
    }
  }
  return {};
}

Result<void> check_pages(Header& header) {
  if (header.page_count == 0 || header.page_count > kMostPages) {
    return fail("kdump: {:#x} pages are declared, 1 to {:#x} are expected", header.page_count,
                kMostPages);
  }
  if (!header.split) header.end_page = header.page_count;
  header.end_page = std::min(header.end_page, header.page_count);
  // A file of a split dump may have none: makedumpfile writes as many files as it was told to.
  if (header.first_page > header.end_page) {
    return fail("kdump: this file of a split dump has pages from {:#x} to {:#x}, of {:#x}",
                header.first_page, header.end_page, header.page_count);
  }
  return {};
}

/// makedumpfile's files have two bitmaps: which pages are memory, and which are stored. Diskdump's
/// may have the second alone: only the room tells (crash, diskdump.c, dump_is_partial()).
Result<void> place_bitmaps(const PlainFile& file, Blocks blocks, Header& header,
                           Contents& contents) {
  const std::uint64_t needed = (header.page_count + 7) / 8;
  const std::uint64_t needed_blocks = (needed + header.page_size - 1) / header.page_size;
  const bool two = header.signature == kSignature || blocks.bitmaps >= 2 * needed_blocks;
  header.ram_bitmap = FileOffset((1 + blocks.sub_headers) * header.page_size);
  header.bitmap = header.ram_bitmap + (two ? blocks.bitmaps / 2 * header.page_size : 0);
  header.descriptors = header.ram_bitmap + blocks.bitmaps * header.page_size;

  const std::uint64_t room =
      std::min(header.descriptors.value, std::max(file.size(), header.bitmap.value)) -
      header.bitmap.value;
  if (room >= needed) return {};
  if (room == 0) {
    return fail("kdump: the file has {} bytes, the bitmap of its pages lies at {:#x}", file.size(),
                header.bitmap.value);
  }
  if (file.size() < header.descriptors.value) contents.truncated = true;
  contents.notices.push_back(
      {Level::warning,
       fmt::format("kdump: the bitmap at {:#x} has {} of {} bytes: pages from {:#x} on are unknown",
                   header.bitmap.value, room, needed, room * 8)});
  header.page_count = room * 8;
  header.end_page = std::min(header.end_page, header.page_count);
  header.first_page = std::min(header.first_page, header.end_page);
  return {};
}

}  // namespace

Result<Header> read_header(const PlainFile& file, Contents& contents) {
  const auto raw = file.load<Header64>(FileOffset(0));
  if (!raw) {
    return fail("kdump: the file has {} bytes, its header alone has {}", file.size(),
                sizeof(Header64));
  }
  Header header;
  header.signature = std::string(raw->signature.data(), raw->signature.size());
  if (header.signature != kSignature && header.signature != kDiskdumpSignature) {
    return fail(
        "kdump: what was flattened is no kdump (it begins with {:#x}, \"{}\" is expected); "
        "makedumpfile -R makes a plain file of it",
        load_unaligned<std::uint64_t>(reinterpret_cast<const std::byte*>(&*raw)), kSignature);
  }
  const std::uint32_t version = raw->version;
  header.order = elf::ByteOrder((version & 0xFFFFU) == 0 && version != 0);
  Blocks blocks = take_header(*raw, header);
  if (!is_block_size(header.page_size)) {
    const std::uint64_t wide_size = header.page_size;
    header.wide = false;
    blocks = take_header(*file.load<Header32>(FileOffset(0)), header);
    if (!is_block_size(header.page_size)) {
      return fail("kdump: blocks of {:#x} bytes at {:#x}: a power of two from {} to {} is expected",
                  wide_size, offsetof(Header64, block_size), kSmallestBlock, kLargestBlock);
    }
  }
  if (header.version > kNewestVersion) {
    contents.notices.push_back(
        {Level::warning, fmt::format("kdump: header version {}, the newest known is {}: read "
                                     "as that",
                                     header.version, kNewestVersion)});
  }
  if (header.signature == kSignature) {
    ENGRAM_CHECK(header.wide ? take_sub_header<SubHeader64>(file, header)
                             : take_sub_header<SubHeader32>(file, header));
  }
  ENGRAM_CHECK(check_pages(header));
  ENGRAM_CHECK(place_bitmaps(file, blocks, header, contents));
  return header;
}

}  // namespace engram::image::kdump
