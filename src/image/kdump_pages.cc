// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/kdump_pages.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>

#include "image/bit_runs.h"
#include "image/page_codec.h"

namespace engram::image::kdump {
namespace {

using guest::MemoryErrc;
using guest::Transfer;

constexpr std::size_t kLargestPage = 64 * kKiB;

/// Nothing if the flags are none of a page.
std::optional<Codec> codec_of(std::uint32_t flags) {
  switch (flags) {
    case 0:
      return Codec::none;
    case kFlagZlib:
      return Codec::zlib;
    case kFlagLzo:
      return Codec::lzo;
    case kFlagSnappy:
      return Codec::snappy;
    case kFlagZstd:
      return Codec::zstd;
    default:
      return std::nullopt;
  }
}

}  // namespace

void FilePages::visit_runs(FileOffset bitmap, std::uint64_t first, std::uint64_t end,
                           const std::function<void(std::uint64_t, std::uint64_t)>& visit) const {
  find_runs([&](std::uint64_t at, std::uint64_t size) { return file_.copy(bitmap + at, size); },
            first, end, visit);
}

std::uint64_t FilePages::descriptors_there() const {
  const std::uint64_t at = header_.descriptors.value;
  return file_.size() > at ? (file_.size() - at) / sizeof(PageDescriptor) : 0;
}

std::optional<PageDescriptor> FilePages::descriptor(std::uint64_t number) const {
  auto found = file_.load<PageDescriptor>(header_.descriptors + number * sizeof(PageDescriptor));
  if (!found) return std::nullopt;
  found->offset = header_.order(found->offset);
  found->size = header_.order(found->size);
  found->flags = header_.order(found->flags);
  return found;
}

std::optional<std::uint64_t> FilePages::descriptor_number(std::uint64_t page) const {
  const std::uint64_t block = page / kPagesInCount;
  const std::uint64_t begin = block * kPagesInCount;
  std::array<std::byte, kPagesInCount / 8> bits;
  const MutableBytes wanted =
      MutableBytes(bits).first(static_cast<std::size_t>((page - begin) / 8 + 1));
  if (file_.read(header_.bitmap + begin / 8, wanted) != wanted.size()) return std::nullopt;
  if (((std::to_integer<unsigned>(wanted.back()) >> (page % 8)) & 1U) == 0) return std::nullopt;
  std::uint64_t number =
      counts_[static_cast<std::size_t>(block - header_.first_page / kPagesInCount)];
  for (std::uint64_t at = begin; at <= page; at += 64) {
    const std::uint64_t word = padded_word(wanted, static_cast<std::size_t>((at - begin) / 64));
    number +=
        static_cast<unsigned>(std::popcount(word & bits_within(at, header_.first_page, page)));
  }
  return number;
}

std::optional<std::string> FilePages::unpack_page(const PageDescriptor& descriptor,
                                                  MutableBytes to) const {
  const std::uint64_t offset = descriptor.offset;
  const std::uint32_t size = descriptor.size;
  if (offset == 0 && size == 0) return "the dump ended before it was written";
  if (size == 0 || size > to.size()) {
    return fmt::format("{:#x} bytes are stored, 1 to {:#x} are expected", size, to.size());
  }
  const auto codec = codec_of(descriptor.flags);
  if (!codec) return fmt::format("flags {:#x} are no compression", std::uint32_t{descriptor.flags});
  if (!can_unpack(*codec))
    return fmt::format("this program was built without {}", to_string(*codec));
  std::array<std::byte, kLargestPage> buffer;
  const MutableBytes packed = MutableBytes(buffer).first(size);
  if (file_.read(FileOffset(offset), packed) != size) {
    return fmt::format("{:#x} bytes at {:#x}: the file ends at {:#x}", size, offset, file_.size());
  }
  const auto unpacked = unpack(*codec, packed, to);
  if (!unpacked) {
    return fmt::format("{:#x} bytes at {:#x} are damaged ({})", size, offset, to_string(*codec));
  }
  if (*unpacked == to.size()) return std::nullopt;
  return fmt::format("{:#x} bytes at {:#x} give {:#x} bytes ({}), {:#x} are expected", size, offset,
                     *unpacked, to_string(*codec), to.size());
}

std::optional<std::string> FilePages::read(std::uint64_t number, MutableBytes to) const {
  const std::uint64_t at = header_.descriptors.value + number * sizeof(PageDescriptor);
  const auto found = descriptor(number);
  if (!found) return fmt::format("descriptor at {:#x}: the file ends at {:#x}", at, file_.size());
  const auto problem = unpack_page(*found, to);
  if (!problem) return std::nullopt;
  return fmt::format("descriptor at {:#x}: {}", at, *problem);
}

Transfer Pages::read_page(std::uint64_t index, MutableBytes to) const {
  const auto file = std::find_if(files_.begin(), files_.end(),
                                 [index](const FilePages& f) { return f.covers(index); });
  if (file == files_.end()) return {0, MemoryErrc::not_present, 0, 0};
  const auto number = file->descriptor_number(index);
  if (!number) return {0, MemoryErrc::not_present, 0, 0};
  const auto problem = file->read(*number, to.first(static_cast<std::size_t>(page_size())));
  if (!problem) return {to.size()};
  const PhysAddr address(index * page_size());
  problems_->add(address, [&] { return fmt::format("kdump: page {:#x}: {}", index, *problem); });
  return {0, MemoryErrc::source_truncated, 0, 0};
}

}  // namespace engram::image::kdump
