// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/packed_size.h"

#include <zstd.h>

#include <algorithm>

namespace engram::image {
namespace {

// Source: the .xz file format 1.2.0, sections 2.1.2 (footer), 4 (index), 1.2 (integers).
constexpr std::uint64_t kXzFooterSize = 12;
constexpr std::uint64_t kMostIndexBytes = 16 * kMiB;

struct [[gnu::packed]] XzFooter {
  std::uint32_t checksum;
  std::uint32_t backward_size;  // of the index: four-byte units, minus one
  std::uint16_t flags;
  std::uint16_t magic;
};
static_assert(sizeof(XzFooter) == kXzFooterSize);
constexpr std::uint16_t kXzFooterMagic = 0x5A59;  // "YZ"

/// Integers of seven bits a byte, the lowest first.
class XzIntegers {
 public:
  explicit XzIntegers(Bytes bytes) : bytes_(bytes) {}

  std::optional<std::uint64_t> next() {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 9 && !bytes_.empty(); ++i) {
      const auto byte = std::to_integer<std::uint64_t>(bytes_[0]);
      bytes_ = bytes_.subspan(1);
      value |= (byte & 0x7FU) << (7 * i);
      if ((byte & 0x80U) == 0) return value;
    }
    return std::nullopt;
  }

 private:
  Bytes bytes_;
};

}  // namespace

std::optional<std::uint64_t> gzip_size(const FileView& file) {
  constexpr std::uint64_t kSmallest = 18;  // header and trailer
  if (file.size() < kSmallest) return std::nullopt;
  return file.load<std::uint32_t>(FileOffset(file.size() - 4));
}

std::optional<std::uint64_t> xz_size(const FileView& file) {
  if (file.size() < 2 * kXzFooterSize) return std::nullopt;
  const FileOffset footer_at(file.size() - kXzFooterSize);
  const auto footer = file.load<XzFooter>(footer_at);
  if (!footer || footer->magic != kXzFooterMagic) return std::nullopt;
  const std::uint64_t size = (std::uint64_t{footer->backward_size} + 1) * 4;
  if (size > footer_at.value || size > kMostIndexBytes) return std::nullopt;
  const auto index = file.copy(footer_at - size, size);
  if (index.size() != size || index[0] != std::byte{0}) return std::nullopt;
  XzIntegers integers(Bytes(index).subspan(1));
  const auto count = integers.next();
  if (!count || *count > size) return std::nullopt;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto packed = integers.next();
    const auto unpacked = integers.next();
    const auto next = packed && unpacked ? checked_add(sum, *unpacked) : std::nullopt;
    if (!next) return std::nullopt;
    sum = *next;
  }
  return sum;
}

std::optional<std::uint64_t> zstd_size(const FileView& file) {
  constexpr std::uint64_t kLongestHeader = 18;
  const auto head = file.copy(FileOffset(0), kLongestHeader);
  const unsigned long long size = ::ZSTD_getFrameContentSize(head.data(), head.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
  return size;
}

}  // namespace engram::image
