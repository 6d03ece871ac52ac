// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files that are packed as a whole, for tests.

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "image/test_images.h"

namespace engram::image::test {

/// The bytes in pieces of `size`.
inline std::vector<Bytes> pieces(Bytes bytes, std::size_t size) {
  std::vector<Bytes> all;
  for (; !bytes.empty(); bytes = bytes.subspan(all.back().size())) {
    all.push_back(bytes.first(std::min(size, bytes.size())));
  }
  return all;
}

/// One member; with zlib's fastest level, as all here.
inline Buffer gzip_member(Bytes bytes, int window = MAX_WBITS + 16) {
  z_stream stream{};
  Buffer out(bytes.size() + bytes.size() / 100 + 1024);
  if (deflateInit2(&stream, 1, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::uint32_t checksum(Bytes bytes) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

inline Buffer bgzf_member(Bytes bytes, std::uint32_t declared) {
  Buffer member;
  const Buffer data = gzip_member(bytes, -MAX_WBITS);
  for (const unsigned byte : {0x1FU, 0x8BU, 8U, 4U, 0U, 0U, 0U, 0U, 0U, 0xFFU, 6U, 0U}) {
    append(member, static_cast<std::uint8_t>(byte));
  }
  append(member, std::uint32_t{0x24342});  // "BC", and the size of what follows
  append(member, static_cast<std::uint16_t>(data.size() + 25));
  append(member, data);
  append(member, checksum(bytes));
  append(member, declared);
  return member;
}

/// As bgzip writes it, with its empty last member.
inline Buffer bgzf(Bytes bytes, std::size_t member = 0xFF00) {
  Buffer file;
  auto parts = pieces(bytes, member);
  parts.emplace_back();
  for (const Bytes part : parts) {
    append(file, bgzf_member(part, static_cast<std::uint32_t>(part.size())));
  }
  return file;
}

/// One stream with a block for every `block` bytes.
inline Buffer xz(Bytes bytes, std::size_t block) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_easy_encoder(&stream, 0, LZMA_CHECK_CRC32) != LZMA_OK) std::abort();
  Buffer out(bytes.size() * 2 + 4096);
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  for (const Bytes part : pieces(bytes, block)) {
    stream.next_in = reinterpret_cast<const std::uint8_t*>(part.data());
    stream.avail_in = part.size();
    if (lzma_code(&stream, LZMA_FULL_FLUSH) != LZMA_STREAM_END) std::abort();
  }
  if (lzma_code(&stream, LZMA_FINISH) != LZMA_STREAM_END) std::abort();
  out.resize(stream.total_out);
  lzma_end(&stream);
  return out;
}

/// An xz file whose index says that the first block goes on behind its end, where `junk` is.
inline Buffer xz_with_junk(Bytes bytes, std::size_t block, const Buffer& junk) {
  const Buffer good = xz(bytes, block);
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint64_t>(good[at]); };
  const std::size_t footer = good.size() - 12;
  const std::size_t index_size = 4 * (byte(footer + 4) + 256 * byte(footer + 5) + 1);
  std::size_t at = footer - index_size + 1;
  const auto number = [&] {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      value |= (byte(at) & 0x7FU) << shift;
      if (byte(at++) < 0x80) return value;
    }
  };
  Buffer index{std::byte{}};
  const auto put_number = [&](std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) append(index, static_cast<std::uint8_t>(value | 0x80U));
    append(index, static_cast<std::uint8_t>(value));
  };
  const std::uint64_t blocks = number();
  put_number(blocks);
  std::size_t end_of_first = 12;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint64_t packed = number();
    if (i == 0) end_of_first += align_up(packed, 4);
    put_number(i == 0 ? align_up(packed, 4) + junk.size() : packed);
    put_number(number());
  }
  while (index.size() % 4 != 0) append(index, std::uint8_t{0});
  append(index, checksum(index));
  Buffer end;
  append(end, static_cast<std::uint32_t>(index.size() / 4 - 1));
  end.insert(end.end(), good.begin() + static_cast<std::ptrdiff_t>(footer) + 8, good.end() - 2);
  const auto first = good.begin() + static_cast<std::ptrdiff_t>(end_of_first);
  Buffer file(good.begin(), first);
  append(file, junk);
  file.insert(file.end(), first, good.begin() + static_cast<std::ptrdiff_t>(footer - index_size));
  append(file, index);
  append(file, checksum(end));
  append(file, end);
  append(file, static_cast<std::uint8_t>('Y'));
  append(file, static_cast<std::uint8_t>('Z'));
  return file;
}

inline Buffer zstd_frame(Bytes bytes) {
  Buffer out(ZSTD_compressBound(bytes.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

/// A frame for every `block` bytes; each says how many it has.
inline Buffer zstd_frames(Bytes bytes, std::size_t block) {
  Buffer file;
  for (const Bytes part : pieces(bytes, block)) append(file, zstd_frame(part));
  return file;
}

/// The same with a seek table behind it.
inline Buffer zstd_seekable(Bytes bytes, std::size_t block) {
  Buffer file, table;
  const auto parts = pieces(bytes, block);
  for (const Bytes part : parts) {
    const Buffer frame = zstd_frame(part);
    append(table, static_cast<std::uint32_t>(frame.size()));
    append(table, static_cast<std::uint32_t>(part.size()));
    append(file, frame);
  }
  append(file, std::uint32_t{0x184D2A5E});
  append(file, static_cast<std::uint32_t>(table.size() + 9));
  append(file, table);
  append(file, static_cast<std::uint32_t>(parts.size()));
  append(file, std::uint8_t{0});
  append(file, std::uint32_t{0x8F92EAB1});
  return file;
}

}  // namespace engram::image::test
