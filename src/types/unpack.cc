// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/unpack.h"

#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/magic.h"
#include "base/units.h"

namespace engram::types {
namespace {

constexpr std::size_t kChunk = kMiB;
constexpr std::uint64_t kXzMemory = 256 * kMiB;  // xz -9 takes 65 MiB

using namespace std::string_view_literals;
constexpr std::string_view kXzMagic = "\xFD\x37zXZ\0"sv, kGzipMagic = "\x1F\x8B"sv;

/// Calls `more` with room for further bytes; it says how many it wrote, and whether that was all.
template <class More>
Result<std::vector<std::byte>> unpack_with(std::size_t limit, More more) {
  std::vector<std::byte> bytes;
  for (bool at_end = false; !at_end;) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kChunk);
    ENGRAM_TRY(const std::size_t written, more(MutableBytes(bytes).subspan(before), at_end));
    bytes.resize(before + written);
    if (bytes.size() > limit) return fail("more than {} bytes when unpacked", limit);
  }
  return bytes;
}

Result<std::vector<std::byte>> unpack_xz(Bytes file, std::size_t limit) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
    return fail("xz: no memory");
  }
  stream.next_in = reinterpret_cast<const std::uint8_t*>(file.data());
  stream.avail_in = file.size();
  auto bytes = unpack_with(limit, [&](MutableBytes to, bool& at_end) -> Result<std::size_t> {
    stream.next_out = reinterpret_cast<std::uint8_t*>(to.data());
    stream.avail_out = to.size();
    const lzma_ret done = lzma_code(&stream, LZMA_FINISH);
    at_end = done == LZMA_STREAM_END;
    if (done != LZMA_OK && !at_end) return fail("xz: damaged or cut (error {})", int{done});
    return to.size() - stream.avail_out;
  });
  lzma_end(&stream);
  return bytes;
}

Result<std::vector<std::byte>> unpack_gzip(Bytes file, std::size_t limit) {
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (file.size() > std::numeric_limits<uInt>::max()) return fail("gzip: {} bytes", file.size());
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return fail("gzip: no memory");
  // zlib does not write there.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(file.data()));
  stream.avail_in = static_cast<uInt>(file.size());
  auto bytes = unpack_with(limit, [&](MutableBytes to, bool& at_end) -> Result<std::size_t> {
    stream.next_out = reinterpret_cast<Bytef*>(to.data());
    stream.avail_out = static_cast<uInt>(to.size());
    const int done = inflate(&stream, Z_NO_FLUSH);
    at_end = done == Z_STREAM_END;
    if (done != Z_OK && !at_end) return fail("gzip: damaged or cut (error {})", done);
    return to.size() - stream.avail_out;
  });
  inflateEnd(&stream);
  return bytes;
}

}  // namespace

Result<std::vector<std::byte>> unpack(Bytes file, std::size_t limit) {
  if (begins_with(file, kXzMagic)) return unpack_xz(file, limit);
  if (begins_with(file, kGzipMagic)) return unpack_gzip(file, limit);
  if (file.size() > limit) return fail("more than {} bytes", limit);
  return std::vector<std::byte>(file.begin(), file.end());
}

}  // namespace engram::types
