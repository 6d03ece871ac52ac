// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/avml.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "image/crc32c.h"
#include "image/page_codec.h"

namespace engram::image::lime {
namespace {

using guest::MemoryErrc;
using guest::Transfer;

// Source: google/snappy, framing_format.txt: a chunk is its type (1 byte), its length (3 bytes) and
// so many bytes; those of data begin with a checksum.
constexpr unsigned kCompressed = 0x00;
constexpr unsigned kPlain = 0x01;
constexpr unsigned kFirstSkippable = 0x80;
constexpr std::uint64_t kHeaderSize = 4;
constexpr std::uint64_t kChecksumSize = 4;
constexpr std::uint64_t kLongestContent =
    128 * kKiB;  // 64 KiB that do not compress need a few more

// No element of Snappy makes more than 64 bytes of 3, and chunks are as long as they may be but for
// the last ones that were written at once: so a small file cannot have an index that fills memory.
constexpr std::uint64_t kMostExpansion = 22;
constexpr std::size_t kAlwaysTaken = 1 << 16;
constexpr std::uint64_t kLeastAverage = 1 * kKiB;

struct ChunkHeader {
  unsigned type = 0;
  std::uint64_t length = 0;  // of what follows
  std::uint64_t size = 0;    // of the data unpacked; 0: there are none in it
};

/// The little-endian number, 7 bits a byte, with which Snappy data begin.
std::optional<std::uint64_t> unpacked_size(Bytes packed) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < std::min<std::size_t>(packed.size(), 5); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(packed[i]);
    value |= (byte & 0x7FU) << (7 * i);
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

/// Nothing where the file ends, or no chunk can begin; `problem` says which.
std::optional<ChunkHeader> load_header(const FileView& file, FileOffset at, std::string& problem) {
  const auto bytes = file.copy(at, kHeaderSize + kChecksumSize + 5);
  const auto head = load<std::uint32_t>(bytes, 0);
  if (!head) {
    problem = file.lack(at, sizeof *head);
    return std::nullopt;
  }
  ChunkHeader header{*head & 0xFFU, *head >> 8U, 0};
  if (header.type >= kFirstSkippable) return header;
  const std::uint64_t content = header.length > kChecksumSize ? header.length - kChecksumSize : 0;
  if (header.type == kPlain) header.size = content;
  if (header.type == kCompressed && bytes.size() > kHeaderSize + kChecksumSize) {
    header.size = unpacked_size(Bytes(bytes).subspan(kHeaderSize + kChecksumSize)).value_or(0);
  }
  if (header.type <= kPlain && header.size > 0 && header.size <= Chunks::kLargest && content > 0 &&
      content <= kLongestContent && header.size / kMostExpansion <= content) {
    return header;
  }
  problem = fmt::format("no chunk at {:#x}: type {:#x}, {:#x} bytes for {:#x}", at.value,
                        header.type, header.length, header.size);
  return std::nullopt;
}

std::uint32_t unmasked(std::uint32_t checksum) {
  const std::uint32_t rotated = checksum - 0xA282EAD8U;
  return (rotated >> 17U) | (rotated << 15U);
}

}  // namespace

std::size_t Chunks::unpack_chunk(FileOffset at, MutableBytes to, std::string& problem) const {
  const auto header = load_header(file_, at, problem);
  if (!header) return 0;
  std::array<std::byte, kChecksumSize + kLongestContent> buffer;
  if (header->size == 0) {  // it was one of data before
    problem = fmt::format("the chunk at {:#x} has no data any more", at.value);
    return 0;
  }
  const MutableBytes content = MutableBytes(buffer).first(header->length);
  if (file_.read(at + kHeaderSize, content) < content.size()) {
    problem = file_.lack(at + kHeaderSize, content.size());
    return 0;
  }
  const Codec codec = header->type == kPlain ? Codec::none : Codec::snappy;
  const auto size = unpack(codec, Bytes(content).subspan(kChecksumSize), to);
  if (!size || *size != header->size) {
    problem = fmt::format("the chunk at {:#x} is damaged", at.value);
    return 0;
  }
  const std::uint32_t wanted = unmasked(load_unaligned<std::uint32_t>(content.data()));
  const std::uint32_t found = crc32c(to.first(*size));
  if (found == wanted) return *size;
  problem = fmt::format("the chunk at {:#x} has checksum {:#x}, {:#x} is expected", at.value, found,
                        wanted);
  return 0;
}

Transfer Chunks::read_page(std::uint64_t index, MutableBytes to) const {
  const Chunk& chunk = chunks_[static_cast<std::size_t>(index)];
  std::string problem;
  const std::size_t size = unpack_chunk(chunk.at, to, problem);
  if (size > 0) return {size};
  problems_->add(chunk.start, [&] { return "avml: " + problem; });
  return {0, MemoryErrc::source_truncated, 0, 0};
}

Transfer Block::read_chunks(PhysAddr from, MutableBytes to, bool keep) const {
  const auto begin = chunks_.list().begin() + static_cast<std::ptrdiff_t>(first_);
  const auto end = begin + static_cast<std::ptrdiff_t>(count_);
  auto chunk =
      std::upper_bound(begin, end, from,
                       [](PhysAddr address, const Chunks::Chunk& c) { return address < c.start; }) -
      1;
  std::size_t done = 0;
  for (; done < to.size() && chunk != end; ++chunk) {
    const PhysAddr at = from + done;
    const PhysAddr chunk_end = chunk + 1 == end ? end_ : chunk[1].start;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(to.size() - done, chunk_end - at));
    const auto index = static_cast<std::uint64_t>(chunk - chunks_.list().begin());
    const MutableBytes part = to.subspan(done, wanted);
    const bool is_whole = at == chunk->start && part.size() == chunk_end - at;
    const Transfer moved =
        is_whole && !keep
            ? chunks_.read_page(index, part)
            : cache_.read_page(index, static_cast<std::size_t>(at - chunk->start), part);
    done += moved.count;
    if (!moved.complete()) return {done, moved.stop, moved.os_errno, from.value + done};
    if (moved.count < part.size()) {  // the file has changed
      return {done, MemoryErrc::source_truncated, 0, from.value + done};
    }
  }
  return {done};
}

Blocks::Added Blocks::add(PhysAddr start, std::uint64_t size, FileOffset at) {
  Block& block = blocks_.emplace_back(start, chunks_->list().size(), chunks_, cache_);
  Added added{&block, 0, at, std::nullopt, false};
  while (added.size < size) {
    std::string problem;
    const auto header = load_header(file_, added.end, problem);
    const std::uint64_t length = kHeaderSize + (header ? header->length : 0);
    added.cut = file_.available(added.end, length) < length;
    if (added.cut) problem = fmt::format("the file ends in the chunk at {:#x}", added.end.value);
    if (header && header->size > size - added.size) {
      problem = fmt::format("the chunk at {:#x} has {:#x} bytes, {:#x} are left", added.end.value,
                            header->size, size - added.size);
    }
    const auto& list = chunks_->list();
    if (list.size() >= kAlwaysTaken && total_ / list.size() < kLeastAverage) {
      problem = fmt::format("{} chunks have {:#x} bytes together", list.size(), total_);
    }
    if (!problem.empty()) {
      added.problem = std::move(problem);
      return added;
    }
    if (header->size > 0) {
      chunks_->add({start + added.size, added.end});
      block.extend(header->size);
      added.size += header->size;
      total_ += header->size;
    }
    added.end = added.end + length;
  }
  return added;
}

}  // namespace engram::image::lime
