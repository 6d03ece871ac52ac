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

bool is_plain(const PageDescriptor& page, std::size_t page_size) {
  return page.flags == 0 && page.size == page_size;
}

/// Whether the bytes of `next` lie behind those of `page`.
bool is_behind(const PageDescriptor& next, const PageDescriptor& page) {
  return next.offset == page.offset + page.size;
}

/// As the pages of zeros are.
bool is_same(const PageDescriptor& page, const PageDescriptor& other) {
  return page.offset == other.offset && page.size == other.size && page.flags == other.flags;
}

/// What is stored of pages, in a private copy: a decompressor must not see bytes change, nor fault.
/// As much as lies together is copied at once.
class StoredBytes {
 public:
  explicit StoredBytes(const PlainFile& file) : file_(file) {}

  /// Those of the first of `pages`, which are wanted one after the other; fewer if the file is cut.
  Bytes take(std::span<const PageDescriptor> pages) {
    const PageDescriptor& page = pages[0];
    if (page.offset != at_ || page.size > rest_.size()) fill(pages);
    const Bytes bytes = rest_.first(std::min<std::size_t>(page.size, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    at_ += bytes.size();
    return bytes;
  }

 private:
  void fill(std::span<const PageDescriptor> pages) {
    std::size_t size = pages[0].size;
    for (std::size_t i = 1; i < pages.size() && is_behind(pages[i], pages[i - 1]) &&
                            pages[i].size <= buffer_.size() - size;
         ++i) {
      size += pages[i].size;
    }
    at_ = pages[0].offset;
    rest_ = Bytes(buffer_).first(file_.read(FileOffset(at_), MutableBytes(buffer_).first(size)));
  }

  const PlainFile& file_;
  std::array<std::byte, kLargestPage> buffer_;  // has room for any one page
  Bytes rest_;                                  // of what was copied
  std::uint64_t at_ = 0;                        // in the file
};

}  // namespace

std::uint64_t FilePages::visit_runs(
    FileOffset bitmap, std::uint64_t first, std::uint64_t end,
    const std::function<void(std::uint64_t, std::uint64_t)>& visit) const {
  return find_runs(
      [&](std::uint64_t at, std::uint64_t size) { return file_.copy(bitmap + at, size); }, first,
      end, visit);
}

std::uint64_t FilePages::descriptors_there() const {
  const std::uint64_t at = header_.descriptors.value;
  return file_.size() > at ? (file_.size() - at) / sizeof(PageDescriptor) : 0;
}

std::optional<PageDescriptor> FilePages::descriptor(std::uint64_t number) const {
  const auto found =
      file_.load<PageDescriptor>(header_.descriptors + number * sizeof(PageDescriptor));
  return found ? std::optional(in_order(*found)) : std::nullopt;
}

PageDescriptor FilePages::in_order(PageDescriptor stored) const {
  stored.offset = header_.order(stored.offset);
  stored.size = header_.order(stored.size);
  stored.flags = header_.order(stored.flags);
  return stored;
}

std::optional<FilePages::Stored> FilePages::find_stored(std::uint64_t page,
                                                        std::uint64_t most) const {
  const std::uint64_t block = page / kPagesInCount;
  const std::uint64_t begin = block * kPagesInCount;
  std::uint64_t end =
      std::min({begin + kPagesInCount, header_.end_page, page + std::min(most, kPagesInCount)});
  std::array<std::byte, kPagesInCount / 8> buffer;
  const std::size_t there =
      file_.read(header_.bitmap + begin / 8,
                 MutableBytes(buffer).first(static_cast<std::size_t>((end - begin + 7) / 8)));
  const Bytes bits = Bytes(buffer).first(there);
  end = std::min(end, begin + 8 * there);
  if (page >= end) return std::nullopt;
  const auto word_of = [&](std::uint64_t at) {
    return padded_word(bits, static_cast<std::size_t>((at - begin) / 64));
  };
  Stored stored{counts_[static_cast<std::size_t>(block - header_.first_page / kPagesInCount)], 0};
  for (std::uint64_t at = begin; at <= page; at += 64) {
    stored.number += static_cast<unsigned>(
        std::popcount(word_of(at) & bits_within(at, header_.first_page, page)));
  }
  for (std::uint64_t at = page; at < end;) {
    const auto set = static_cast<unsigned>(std::countr_one(word_of(at) >> at % 64));
    stored.pages += std::min<std::uint64_t>(set, end - at);
    at += set;
    if (set == 0 || at % 64 != 0) break;  // the run ends in this word
  }
  return stored.pages > 0 ? std::optional(stored) : std::nullopt;
}

std::optional<std::uint64_t> FilePages::descriptor_number(std::uint64_t page) const {
  const auto stored = find_stored(page, 1);
  return stored ? std::optional(stored->number) : std::nullopt;
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
    return fmt::format("{:#x} bytes at {:#x}: {}", size, offset,
                       lack_of(file_.size(), FileOffset(offset), size));
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
  if (!found) {
    return fmt::format("descriptor at {:#x}: {}", at,
                       lack_of(file_.size(), FileOffset(at), sizeof(PageDescriptor)));
  }
  const auto problem = unpack_page(*found, to);
  if (!problem) return std::nullopt;
  return fmt::format("descriptor at {:#x}: {}", at, *problem);
}

std::size_t FilePages::unpack_run(std::span<const PageDescriptor> run, MutableBytes to) const {
  const std::size_t page_size = to.size() / run.size();
  StoredBytes stored(file_);
  for (std::size_t i = 0; i < run.size(); ++i) {
    const PageDescriptor& page = run[i];
    const MutableBytes room = to.subspan(i * page_size, page_size);
    if (i > 0 && is_same(page, run[i - 1])) {
      std::copy_n(room.data() - page_size, page_size, room.data());
      continue;
    }
    if (is_plain(page, page_size)) {
      std::size_t end = i + 1;
      while (end < run.size() && is_plain(run[end], page_size) && is_behind(run[end], run[end - 1]))
        ++end;
      const MutableBytes all = to.subspan(i * page_size, (end - i) * page_size);
      const std::size_t copied = file_.read(FileOffset(page.offset), all);
      if (copied < all.size()) return i + copied / page_size;
      i = end - 1;
      continue;
    }
    const auto codec = codec_of(page.flags);
    if (!codec || page.size == 0 || page.size > page_size) return i;
    const Bytes bytes = stored.take(run.subspan(i));
    if (bytes.size() < page.size || unpack(*codec, bytes, room) != page_size) return i;
  }
  return run.size();
}

std::size_t FilePages::read_run(std::uint64_t number, MutableBytes to) const {
  constexpr std::size_t kAtOnce = 128;  // as many as there are in half a megabyte
  const auto page_size = static_cast<std::size_t>(header_.page_size);
  const std::size_t pages = to.size() / page_size;
  std::array<PageDescriptor, kAtOnce> buffer;
  std::size_t done = 0;
  while (done < pages) {
    const auto wanted = std::span(buffer).first(std::min(kAtOnce, pages - done));
    const FileOffset at = header_.descriptors + (number + done) * sizeof(PageDescriptor);
    const auto run =
        wanted.first(file_.read(at, std::as_writable_bytes(wanted)) / sizeof(PageDescriptor));
    if (run.empty()) break;
    std::transform(run.begin(), run.end(), run.begin(),
                   [this](const PageDescriptor& stored) { return in_order(stored); });
    const std::size_t unpacked =
        unpack_run(run, to.subspan(done * page_size, run.size() * page_size));
    done += unpacked;
    if (unpacked < wanted.size()) break;
  }
  return done;
}

const FilePages* Pages::find_file(std::uint64_t page) const {
  const auto file = std::find_if(files_.begin(), files_.end(),
                                 [page](const FilePages& f) { return f.covers(page); });
  return file == files_.end() ? nullptr : &*file;
}

Transfer Pages::read_pages(std::uint64_t index, MutableBytes to) const {
  const auto size = static_cast<std::size_t>(page_size());
  const std::size_t pages = to.size() / size;
  for (std::size_t done = 0; done < pages;) {
    const std::uint64_t page = index + done;
    const FilePages* const file = find_file(page);
    const auto stored = file == nullptr ? std::nullopt : file->find_stored(page, pages - done);
    const std::size_t read =
        stored ? file->read_run(
                     stored->number,
                     to.subspan(done * size, static_cast<std::size_t>(stored->pages * size)))
               : 0;
    done += read;
    if (read > 0) continue;
    const Transfer moved = read_page(page, to.subspan(done * size, size));  // says why it is not
    if (!moved.complete()) return {done * size, moved.stop, moved.os_errno, 0};
    ++done;
  }
  return {pages * size};
}

Transfer Pages::read_page(std::uint64_t index, MutableBytes to) const {
  const FilePages* const file = find_file(index);
  if (file == nullptr) return {0, MemoryErrc::not_present, 0, 0};
  const auto number = file->descriptor_number(index);
  if (!number) return {0, MemoryErrc::not_present, 0, 0};
  const auto problem = file->read(*number, to.first(static_cast<std::size_t>(page_size())));
  if (!problem) return {to.size()};
  const PhysAddr address(index * page_size());
  problems_->add(address, [&] { return fmt::format("kdump: page {:#x}: {}", index, *problem); });
  return {0, MemoryErrc::source_truncated, 0, 0};
}

}  // namespace engram::image::kdump
