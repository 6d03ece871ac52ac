// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <snappy-c.h>

#include <algorithm>
#include <vector>

#include "image/avml_layout.h"
#include "image/crc32c.h"
#include "image/write_ranges.h"

namespace engram::image {
namespace {

using Buffer = std::vector<std::byte>;

void append(Buffer& to, Bytes bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

/// One chunk of the framing format behind what `to` has.
void append_chunk(Bytes bytes, Buffer& to) {
  std::size_t size = ::snappy_max_compressed_length(bytes.size());
  Buffer packed(size);
  const bool is_packed =
      ::snappy_compress(reinterpret_cast<const char*>(bytes.data()), bytes.size(),
                        reinterpret_cast<char*>(packed.data()), &size) == SNAPPY_OK;
  // The same bound as in Snappy's own implementations: less gain is not worth the unpacking.
  const bool plain = !is_packed || size >= bytes.size() - bytes.size() / 8;
  const Bytes data = plain ? bytes : Bytes(packed).first(size);
  const std::size_t length = data.size() + sizeof(std::uint32_t);
  const avml::ChunkHeader header{
      plain ? avml::kChunkPlain : avml::kChunkCompressed,
      {static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8U),
       static_cast<std::uint8_t>(length >> 16U)},
      avml::masked(crc32c(bytes))};
  append(to, std::as_bytes(std::span(&header, 1)));
  append(to, data);
}

/// A part of a block, ready to be written.
struct Packed {
  Buffer bytes;
  std::uint64_t memory_bytes = 0;
};

Result<Packed> pack(const guest::Memory& memory, PhysAddr from, std::uint64_t size) {
  Packed packed;
  packed.memory_bytes = size;
  Buffer chunk(static_cast<std::size_t>(std::min(size, avml::kMostChunkBytes)));
  while (size > 0) {
    const auto part = std::span(chunk).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(size, chunk.size())));
    const auto outcome = memory.read(from, part);
    if (!outcome.complete()) return cannot_read(from + outcome.count);
    append_chunk(part, packed.bytes);
    from = from + part.size();
    size -= part.size();
  }
  return packed;
}

class AvmlWriter {
 public:
  AvmlWriter(const Survey& survey, Sink& sink, const WriteOptions& options)
      : memory_(survey.memory),
        sink_(sink),
        meter_(options, WriteState::Step::writing, survey.all.bytes) {}

  Result<void> write_range(PresentRange range) {
    while (range.size > 0) {
      const std::uint64_t size = std::min(range.size, avml::kMostBlockBytes);
      ENGRAM_CHECK(write_block({range.start, size}));
      range = {range.start + size, range.size - size};
    }
    return {};
  }

 private:
  Result<void> write_block(PresentRange block) {
    const lime::RangeHeader header{
        avml::kMagic, avml::kVersion, block.start.value, block.last().value, {}};
    ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(&header, 1))));
    ENGRAM_CHECK(sink_.write(std::as_bytes(std::span(avml::kStreamIdentifier))));
    avml::BlockLength length = avml::kStreamIdentifier.size();
    InOrder<Packed> pieces;
    while (block.size > 0 || !pieces.empty()) {
      if (block.size > 0 && !pieces.full()) {
        const std::uint64_t size = std::min(block.size, kPieceBytes);
        pieces.add(
            [&memory = memory_, from = block.start, size] { return pack(memory, from, size); },
            size <= kSmallPiece);
        block = {block.start + size, block.size - size};
        continue;
      }
      ENGRAM_TRY(const Packed packed, pieces.take());
      ENGRAM_CHECK(sink_.write(packed.bytes));
      ENGRAM_CHECK(meter_.add(packed.memory_bytes));
      length += packed.bytes.size();
    }
    return sink_.write(std::as_bytes(std::span(&length, 1)));
  }

  const guest::Memory& memory_;
  Sink& sink_;
  Meter meter_;
};

}  // namespace

Result<Written> write_avml(const guest::Memory& memory, Sink& sink, const WriteOptions& options) {
  ENGRAM_TRY(const Survey found, survey(memory, options));
  if (found.all.bytes > kMostBytes) {
    return fail("avml: {:#x} bytes of memory, at most {:#x} are written", found.all.bytes,
                kMostBytes);
  }
  AvmlWriter writer(found, sink, options);
  PresentRanges ranges(found.memory);
  while (const auto range = ranges.next()) ENGRAM_CHECK(writer.write_range(*range));
  return found.all;
}

}  // namespace engram::image
