// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/page_codec.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>
#ifdef ENGRAM_LZO
#include <lzo/lzo1x.h>
#endif

#include <algorithm>
#include <memory>

namespace engram::image {
namespace {

using Unpacked = std::optional<std::size_t>;

Unpacked unpack_none(Bytes from, MutableBytes to) {
  if (from.size() > to.size()) return std::nullopt;
  std::copy(from.begin(), from.end(), to.begin());
  return from.size();
}

Unpacked unpack_zlib(Bytes from, MutableBytes to) {
  struct Free {
    void operator()(libdeflate_decompressor* d) const { ::libdeflate_free_decompressor(d); }
  };
  thread_local const std::unique_ptr<libdeflate_decompressor, Free> decompressor(
      ::libdeflate_alloc_decompressor());
  if (decompressor == nullptr) return std::nullopt;
  std::size_t used = 0, size = 0;
  const libdeflate_result status = ::libdeflate_zlib_decompress_ex(
      decompressor.get(), from.data(), from.size(), to.data(), to.size(), &used, &size);
  if (status != LIBDEFLATE_SUCCESS) return std::nullopt;
  return size;
}

Unpacked unpack_lzo([[maybe_unused]] Bytes from, [[maybe_unused]] MutableBytes to) {
#ifdef ENGRAM_LZO
  static const bool ready = lzo_init() == LZO_E_OK;
  lzo_uint size = to.size();
  const int status =
      ::lzo1x_decompress_safe(reinterpret_cast<const unsigned char*>(from.data()), from.size(),
                              reinterpret_cast<unsigned char*>(to.data()), &size, nullptr);
  if (ready && status == LZO_E_OK) return size;
#endif
  return std::nullopt;
}

Unpacked unpack_snappy(Bytes from, MutableBytes to) {
  std::size_t size = to.size();
  const auto status = ::snappy_uncompress(reinterpret_cast<const char*>(from.data()), from.size(),
                                          reinterpret_cast<char*>(to.data()), &size);
  if (status != SNAPPY_OK) return std::nullopt;
  return size;
}

Unpacked unpack_zstd(Bytes from, MutableBytes to) {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };
  // To make one (160 KB) takes longer than to unpack a page.
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(::ZSTD_createDCtx());
  if (context == nullptr) return std::nullopt;
  const std::size_t size =
      ::ZSTD_decompressDCtx(context.get(), to.data(), to.size(), from.data(), from.size());
  if (::ZSTD_isError(size) != 0) return std::nullopt;
  return size;
}

}  // namespace

const char* to_string(Codec codec) {
  switch (codec) {
    case Codec::none:
      return "none";
    case Codec::zlib:
      return "zlib";
    case Codec::lzo:
      return "lzo";
    case Codec::snappy:
      return "snappy";
    case Codec::zstd:
      return "zstd";
  }
  return "unknown";
}

bool can_unpack(Codec codec) {
#ifdef ENGRAM_LZO
  constexpr bool kLzo = true;
#else
  constexpr bool kLzo = false;
#endif
  return kLzo || codec != Codec::lzo;
}

std::optional<std::size_t> unpack(Codec codec, Bytes from, MutableBytes to) {
  switch (codec) {
    case Codec::none:
      return unpack_none(from, to);
    case Codec::zlib:
      return unpack_zlib(from, to);
    case Codec::lzo:
      return unpack_lzo(from, to);
    case Codec::snappy:
      return unpack_snappy(from, to);
    case Codec::zstd:
      return unpack_zstd(from, to);
  }
  return std::nullopt;
}

}  // namespace engram::image
