// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small Windows crash dumps for tests, built in memory.

#include <cstdint>
#include <utility>
#include <vector>

#include "image/test_images.h"

namespace engram::image::test {

/// {first page number, number of pages}
using PageRuns = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

inline constexpr std::uint64_t kDmpRoot = 0x1ad002;  // with a PCID
inline constexpr std::uint64_t kDmpRip = 0xfffff80512345678;
inline constexpr std::size_t kDmpHeader = 0x2000;
inline constexpr std::size_t kDmpHeader32 = 0x1000;

inline std::uint64_t pages_of(const PageRuns& runs) {
  std::uint64_t sum = 0;
  for (const auto& run : runs) sum += run.second;
  return sum;
}

/// The page with this number as the dumps here have it.
inline Buffer page_pattern(std::uint64_t page) {
  return pattern(kPageSize, static_cast<std::uint32_t>(page + 1));
}

inline void append_pages(Buffer& file, const PageRuns& runs) {
  for (const auto& [base, count] : runs) {
    for (std::uint64_t page = base; page < base + count; ++page) append(file, page_pattern(page));
  }
}

/// A header of `size` bytes in which nothing is set but what both widths have in one place.
inline Buffer dmp_filled(std::size_t size, std::uint32_t valid) {
  Buffer file;
  while (file.size() < size) append(file, std::uint32_t{0x45474150});
  put(file, 4, valid);
  return file;
}

inline Buffer dmp_header64(std::uint32_t type, std::uint64_t file_size) {
  Buffer file = dmp_filled(kDmpHeader, 0x34365544);
  put(file, 0x08, 15U);
  put(file, 0x0C, 19041U);
  put(file, 0x10, kDmpRoot);
  put(file, 0x30, 0x8664U);
  put(file, 0x348 + 0x30, 0x10001FU);
  put(file, 0x348 + 0x44, 0x246U);
  put(file, 0x348 + 0x98, std::uint64_t{0xfffff80500001000});
  put(file, 0x348 + 0xF8, kDmpRip);
  put(file, 0xF98, type);
  put(file, 0xFA0, file_size);
  return file;
}

inline Buffer dmp_header32(std::uint32_t type, std::uint64_t file_size) {
  Buffer file = dmp_filled(kDmpHeader32, 0x504D5544);
  put(file, 0x08, 15U);
  put(file, 0x0C, 7601U);
  put(file, 0x10, 0x185000U);
  put(file, 0x20, 0x14CU);
  put(file, 0xF88, type);
  put(file, 0xFA0, file_size);
  return file;
}

/// Type 1.
inline Buffer dmp_full(const PageRuns& runs) {
  Buffer file = dmp_header64(1, kDmpHeader + pages_of(runs) * kPageSize);
  put(file, 0x88, static_cast<std::uint32_t>(runs.size()));
  put(file, 0x90, pages_of(runs));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    put(file, 0x98 + i * 16, runs[i].first);
    put(file, 0xA0 + i * 16, runs[i].second);
  }
  append_pages(file, runs);
  return file;
}

inline Buffer dmp_full32(const PageRuns& runs) {
  Buffer file = dmp_header32(1, kDmpHeader32 + pages_of(runs) * kPageSize);
  put(file, 0x64, static_cast<std::uint32_t>(runs.size()));
  put(file, 0x68, static_cast<std::uint32_t>(pages_of(runs)));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    put(file, 0x6C + i * 8, static_cast<std::uint32_t>(runs[i].first));
    put(file, 0x70 + i * 8, static_cast<std::uint32_t>(runs[i].second));
  }
  append_pages(file, runs);
  return file;
}

/// Types 5 and 6: the header and a bitmap of `bits` bits, then the pages of `runs`, which ascend.
inline Buffer dmp_bitmap(const PageRuns& runs, std::uint64_t bits, std::uint32_t type = 5,
                         bool wide = true) {
  const std::size_t at = wide ? kDmpHeader : kDmpHeader32;
  const std::size_t first = align_up(at + 0x38 + (bits + 7) / 8, kPageSize);
  const std::uint64_t size = first + pages_of(runs) * kPageSize;
  Buffer file = wide ? dmp_header64(type, size) : dmp_header32(type, size);
  file.resize(first);
  put(file, at, type == 5 ? 0x504D4446U : 0x504D4453U);
  put(file, at + 4, 0x504D5544U);
  put(file, at + 0x20, std::uint64_t{first});
  put(file, at + 0x28, pages_of(runs));
  put(file, at + 0x30, bits);
  for (const auto& [base, count] : runs) {
    for (std::uint64_t bit = base; bit < base + count; ++bit) {
      file[at + 0x38 + bit / 8] |= std::byte{1} << (bit % 8);
    }
  }
  append_pages(file, runs);
  return file;
}

/// Types 8, 9 and 10, with room for one range more than there are.
inline Buffer dmp_ranges(const PageRuns& runs, std::uint32_t type) {
  const std::uint64_t metadata = 0x10 + (runs.size() + 1) * 16;
  const std::uint64_t first = 0x2020 + metadata;
  Buffer file = dmp_header64(type, first + pages_of(runs) * kPageSize);
  file.resize(static_cast<std::size_t>(first));
  put(file, 0x2000, 0x40U);
  put(file, 0x2004, 0x504D4452U);
  put(file, 0x2008, 0x504D5544U);
  put(file, 0x2010, metadata);
  put(file, 0x2018, first);
  if (type == 10) put(file, 0x2020, static_cast<std::uint32_t>(runs.size()));
  if (type == 10) put(file, 0x2028, pages_of(runs));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    put(file, 0x2030 + i * 16, runs[i].first);
    put(file, 0x2038 + i * 16, runs[i].second);
  }
  append_pages(file, runs);
  return file;
}

/// The bytes as the file of an image.
inline Result<Image> open_dump(const Buffer& bytes) {
  const TempFile file(bytes);
  return Image::open(file.path());
}

}  // namespace engram::image::test
