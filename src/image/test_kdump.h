// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small kdump files for tests, built in memory.

#ifdef ENGRAM_LZO
#include <lzo/lzo1x.h>
#endif
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "image/page_codec.h"
#include "image/test_images.h"

namespace engram::image::test {

/// Half of a page can be compressed.
inline Buffer kdump_page(std::uint64_t page) {
  Buffer bytes = pattern(kPageSize / 2, static_cast<std::uint32_t>(page + 1));
  bytes.resize(kPageSize);
  return bytes;
}

inline Buffer packed(Codec codec, const Buffer& page) {
  Buffer out(2 * page.size() + 1024);
  const auto* const from = reinterpret_cast<const unsigned char*>(page.data());
  auto* const to = reinterpret_cast<unsigned char*>(out.data());
  std::size_t size = out.size();
  switch (codec) {
    case Codec::none:
      return page;
    case Codec::zlib: {
      uLongf length = size;
      ::compress2(to, &length, from, page.size(), 1);
      size = length;
      break;
    }
    case Codec::lzo: {
#ifdef ENGRAM_LZO
      std::vector<unsigned char> work(LZO1X_1_MEM_COMPRESS);
      lzo_uint length = size;
      ::lzo1x_1_compress(from, page.size(), to, &length, work.data());
      size = length;
#endif
      break;
    }
    case Codec::snappy:
      ::snappy_compress(reinterpret_cast<const char*>(from), page.size(),
                        reinterpret_cast<char*>(to), &size);
      break;
    case Codec::zstd:
      size = ::ZSTD_compress(to, size, from, page.size(), 1);
      break;
  }
  out.resize(size);
  return out;
}

constexpr std::uint32_t kdump_flag(Codec codec) {
  constexpr std::uint32_t kFlags[] = {0, 1, 2, 4, 0x20};
  return kFlags[static_cast<std::size_t>(codec)];
}

/// What is written.
struct Kdump {
  std::function<Buffer(std::uint64_t)> page_bytes = kdump_page;
  std::vector<std::uint64_t> stored = {0, 1, 5, 6, 7, 40};  // ascending
  std::vector<std::uint64_t> left_out = {2, 3};             // memory, but not stored
  std::uint64_t page_count = 64;
  Codec codec = Codec::zlib;
  std::uint32_t version = 6;
  std::string signature = "KDUMP   ";
  std::string machine = "x86_64";
  bool wide = true, big = false;
  bool two_bitmaps = true;
  std::uint32_t status = 0;  // besides the compression
  std::uint32_t level = 0;
  std::uint64_t first_page = 0, end_page = 0;  // if it was split
  Buffer notes = {};
  std::string vmcoreinfo = {}, erase_info = {};

  // Where the parts lie, once file() was called.
  std::size_t bitmap = 0, descriptors = 0, data = 0;

  Buffer file() {
    const std::size_t bitmap_size = align_up((page_count + 7) / 8, kPageSize);
    const std::size_t ram_bitmap = kPageSize * (1 + kSubHeaderBlocks);
    bitmap = ram_bitmap + (two_bitmaps ? bitmap_size : 0);
    descriptors = bitmap + bitmap_size;
    Buffer out(descriptors);
    put_header(out, (descriptors - ram_bitmap) / kPageSize);
    if (version > 0) put_sub_header(out);
    for (const std::uint64_t page : left_out) {
      if (two_bitmaps) set_bit(out, ram_bitmap, page);
    }
    std::vector<std::uint64_t> here;
    for (const std::uint64_t page : stored) {
      set_bit(out, ram_bitmap, page);
      set_bit(out, bitmap, page);
      if (end_page == 0 || (page >= first_page && page < end_page)) here.push_back(page);
    }
    data = descriptors + here.size() * 24;
    out.resize(data);
    for (std::size_t i = 0; i < here.size(); ++i) {
      const Buffer page = page_bytes(here[i]);
      const Buffer gain = packed(codec, page);
      const bool is_packed = gain.size() < page.size();
      const Buffer& bytes = is_packed ? gain : page;
      put_number(out, descriptors + i * 24, std::uint64_t{out.size()});
      put_number(out, descriptors + i * 24 + 8, static_cast<std::uint32_t>(bytes.size()));
      put_number(out, descriptors + i * 24 + 12, is_packed ? kdump_flag(codec) : 0U);
      append(out, bytes);
    }
    return out;
  }

  /// Of this dump's byte order.
  template <class T>
  void put_number(Buffer& out, std::size_t at, T value) const {
    if (big) to_order<true>(value);
    put(out, at, value);
  }

 private:
  static constexpr std::size_t kSubHeaderBlocks = 3;

  static void set_bit(Buffer& out, std::size_t bits, std::uint64_t page) {
    out[bits + page / 8] |= static_cast<std::byte>(1U << (page % 8));
  }
  static void put_text(Buffer& out, std::size_t at, std::string_view characters) {
    const Buffer bytes = text(characters);
    if (out.size() < at + bytes.size()) out.resize(at + bytes.size());
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void put_header(Buffer& out, std::size_t bitmap_blocks) const {
    put_text(out, 0, signature);
    put_number(out, 8, version);
    put_text(out, 12, "Linux");
    put_text(out, 12 + 2 * 65, "6.1.0-test");
    put_text(out, 12 + 4 * 65, machine);
    const std::size_t status_at = wide ? 424 : 412;
    put_number(out, status_at, kdump_flag(codec) | status);
    put_number(out, status_at + 4, static_cast<std::uint32_t>(kPageSize));
    put_number(out, status_at + 8, static_cast<std::uint32_t>(kSubHeaderBlocks));
    put_number(out, status_at + 12, static_cast<std::uint32_t>(bitmap_blocks));
    // Version 6 has the number again, with 64 bits: this one may be too small.
    put_number(out, status_at + 16, version >= 6 ? 1U : static_cast<std::uint32_t>(page_count));
  }

  void put_word(Buffer& out, std::size_t& at, std::uint64_t value) const {
    if (wide) {
      put_number(out, at, value);
    } else {
      put_number(out, at, static_cast<std::uint32_t>(value));
    }
    at += wide ? 8 : 4;
  }
  void put_part(Buffer& out, std::size_t& at, std::size_t offset, std::size_t size) const {
    put_number(out, at, std::uint64_t{offset});
    at += 8;
    put_word(out, at, size);
  }

  void put_sub_header(Buffer& out) const {
    std::size_t at = kPageSize;
    put_word(out, at, 0x1000000);
    put_number(out, at, level);
    const bool split = end_page != 0;
    put_number(out, at + 4, std::uint32_t{split});
    at += 8;
    put_word(out, at, split ? first_page : 0);
    put_word(out, at, split ? end_page : 0);
    const std::size_t vmcoreinfo_at = 2 * kPageSize;
    const std::size_t notes_at = vmcoreinfo_at + 1024;
    const std::size_t erase_at = vmcoreinfo_at + 3072;
    // What a version does not have is filled with nonsense: it must not be read.
    constexpr std::size_t kNonsense = 0xF0F0F0F0;
    put_part(out, at, version >= 3 ? vmcoreinfo_at : kNonsense,
             version >= 3 ? vmcoreinfo.size() : 100);
    put_part(out, at, version >= 4 ? notes_at : kNonsense, version >= 4 ? notes.size() : 100);
    put_part(out, at, version >= 5 ? erase_at : kNonsense, version >= 5 ? erase_info.size() : 100);
    put_number(out, at, version >= 6 && split ? first_page : kNonsense);
    put_number(out, at + 8, version >= 6 && split ? end_page : kNonsense);
    put_number(out, at + 16, version >= 6 ? page_count : std::uint64_t{kNonsense});
    put_text(out, vmcoreinfo_at, vmcoreinfo);
    put_text(out, erase_at, erase_info);
    std::copy(notes.begin(), notes.end(), out.begin() + static_cast<std::ptrdiff_t>(notes_at));
  }
};

// ---- The flattened form

inline Buffer flat_header() {
  Buffer out = text("makedumpfile");
  out.resize(16);
  for (const std::uint64_t one : {1ULL << 56U, 1ULL << 56U}) append(out, one);
  out.resize(4096);
  return out;
}

inline void append_flat_record(Buffer& out, std::uint64_t offset, const Buffer& bytes) {
  std::uint64_t at = offset;
  std::uint64_t size = bytes.size();
  all_to_order<true>(at, size);
  append(out, at);
  append(out, size);
  append(out, bytes);
}

inline void append_flat_end(Buffer& out) {
  append(out, ~std::uint64_t{0});
  append(out, ~std::uint64_t{0});
}

/// In pieces of 1000 bytes, the last ones first.
inline Buffer flattened(const Buffer& plain) {
  constexpr std::size_t kPiece = 1000;
  Buffer out = flat_header();
  for (std::size_t end = plain.size(); end > 0;) {
    const std::size_t begin = (end - 1) / kPiece * kPiece;
    append_flat_record(out, begin,
                       Buffer(plain.begin() + static_cast<std::ptrdiff_t>(begin),
                              plain.begin() + static_cast<std::ptrdiff_t>(end)));
    end = begin;
  }
  append_flat_end(out);
  return out;
}

}  // namespace engram::image::test
