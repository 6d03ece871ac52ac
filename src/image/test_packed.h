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

/// As bgzip writes it, with its empty last member.
inline Buffer bgzf(Bytes bytes) {
  Buffer file;
  auto parts = pieces(bytes, 0xFF00);
  parts.emplace_back();
  for (const Bytes part : parts) {
    const Buffer data = gzip_member(part, -MAX_WBITS);
    for (const unsigned byte : {0x1FU, 0x8BU, 8U, 4U, 0U, 0U, 0U, 0U, 0U, 0xFFU, 6U, 0U}) {
      append(file, static_cast<std::uint8_t>(byte));
    }
    append(file, std::uint32_t{0x24342});  // "BC", and the size of what follows
    append(file, static_cast<std::uint16_t>(data.size() + 25));
    append(file, data);
    append(file, static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(part.data()),
                                                  static_cast<uInt>(part.size()))));
    append(file, static_cast<std::uint32_t>(part.size()));
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
